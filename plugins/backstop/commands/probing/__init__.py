"""Asks a running system whether it works: drills ask what they restored, incidents the recovered one."""

from backstop.commands.probing.environment import restored_environment
from backstop.commands.probing.probe import Surroundings, run_probe, run_probes

__all__ = ["Surroundings", "restored_environment", "run_probe", "run_probes"]
