# pip install aws-encryption-sdk zstandard
# python decrypt_object_with_escrow.py escrow.pem KEY_ID OBJECT OUTPUT
# KEY_ID is in the manifest's "keys", after "backstop-escrow/".
import getpass
import sys
from pathlib import Path

import aws_encryption_sdk as sdk
import zstandard
from aws_encryption_sdk.identifiers import EncryptionKeyType, WrappingAlgorithm
from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
from aws_encryption_sdk.key_providers.raw import RawMasterKeyProvider

pem_path, wanted_key, object_path, output_path = sys.argv[1:]
pem, password = Path(pem_path).read_bytes(), getpass.getpass("password: ").encode() or None


class Ring(RawMasterKeyProvider):
    provider_id = "backstop-escrow"

    def _get_raw_key(self, key_id):
        return WrappingKey(WrappingAlgorithm.RSA_OAEP_SHA256_MGF1, pem, EncryptionKeyType.PRIVATE, password)


ring = Ring()
ring.add_master_key(wanted_key)
with Path(object_path).open("rb") as source, Path(output_path).open("wb") as output:
    plain = zstandard.ZstdDecompressor().stream_writer(output)
    for block in sdk.EncryptionSDKClient().stream(mode="decrypt-unsigned", source=source, key_provider=ring):
        plain.write(block)
    if source.read(1):
        sys.exit("bytes after the final frame: somebody changed the object")
