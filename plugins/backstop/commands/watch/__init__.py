"""Looking at a target: what there is to see of it, and what is wrong with it.

Begin with ``observe``: it puts the parts together. Each part takes a ``sight.Sight`` (the target, and what parts
before it found out) or plain values, and brings back a ``part.Part``: what was seen, what is wrong, what could
not be judged. Parts ask and compare; what needs no asking is decided in ``model/`` (punctuality, anomaly,
forecast). Who is told of findings is no matter of this folder: ``commands/announce.py``.

The frame
    ``observe`` the order of things · ``sight``, ``part`` what goes in and comes out · ``settings`` what is
    expected · ``within`` gives up what takes too long · ``turns`` spreads what need not be done each time ·
    ``wording``

Backups, by manifests and proofs
    ``catalogue`` all of it in order · ``shelf`` what one repository holds now · ``kinds`` late, odd in size, what
    would be lost · ``proofs`` not proven, failed · ``restores`` how long one would take · ``in_step`` what one
    repository lacks and another has · ``manifests`` gone though nobody expired them · ``objects`` whether the
    bytes are there · ``listing`` what everything takes

WAL
    in the repositories: ``windows`` to which moments they lead · ``spans`` windows as stretches of time ·
    ``gaps`` what a hole means.
    At the server: ``archiving`` all of it · ``following`` looks until the repositories have caught up · ``loss``
    bounded from both sides · ``slot``

What backups need
    ``reach`` which repositories answer · ``repositories`` whether they take what is written · ``space``,
    ``spools`` room, leftovers · ``clocks`` · ``source`` the database · ``keys``, ``key_findings``
"""
