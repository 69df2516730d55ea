# pip install aws-encryption-sdk zstandard; python decrypt_object.py keyring.json OBJECT OUTPUT
import base64
import json
import sys
from pathlib import Path

import aws_encryption_sdk as sdk
import zstandard
from aws_encryption_sdk.identifiers import EncryptionKeyType, WrappingAlgorithm
from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
from aws_encryption_sdk.key_providers.raw import RawMasterKeyProvider

ring_path, object_path, output_path = map(Path, sys.argv[1:])
keys = {key["id"]: base64.b64decode(key["key"]) for key in json.loads(ring_path.read_text())["keys"]}


class Ring(RawMasterKeyProvider):
    provider_id = "backstop-local"

    def _get_raw_key(self, key_id):
        algorithm = WrappingAlgorithm.AES_256_GCM_IV12_TAG16_NO_PADDING
        return WrappingKey(algorithm, keys[key_id.decode()], EncryptionKeyType.SYMMETRIC)


ring = Ring()  # for AWS KMS: sdk.StrictAwsKmsMasterKeyProvider(key_ids=[...]) instead
ring.add_master_keys_from_list(keys)
with object_path.open("rb") as source, output_path.open("wb") as output:
    plain = zstandard.ZstdDecompressor().stream_writer(output)
    for block in sdk.EncryptionSDKClient().stream(mode="decrypt-unsigned", source=source, key_provider=ring):
        plain.write(block)
    if source.read(1):
        sys.exit("bytes after the final frame: somebody changed the object")
