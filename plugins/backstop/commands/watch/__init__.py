"""Looking at a target: what there is to see of it, and what is wrong with it.

Begin with ``observe``, which puts the parts together. A part takes a ``sight.Sight`` (the target, and what
parts before it found out) or plain values, and brings back a ``part.Part``: what was seen, what is wrong,
what could not be judged. Parts ask and compare; what needs no asking is decided in ``model/`` (punctuality,
anomaly, forecast). Whom to tell of findings is not known here: ``commands/announce.py``.

The frame
    observe         the order of things
    sight, part     what goes into a part, and what comes out
    settings        what is expected of the target
    time_limits     gives up what takes too long
    turns           spreads over the day what need not be done each time
    wording         words that several findings use

Backups, by manifests and proofs
    catalogue       the parts below, in order
    shelf           what one repository holds now
    kinds           backups that are late, odd in size, or too old for the objective
    proofs          backups that are not proven, or failed
    restores        how long a restore would take
    drills          whether disasters are rehearsed, and what the last rehearsal showed
    missing_copies  what one repository lacks and another has
    manifests       those that have gone though nobody expired them
    objects         whether the bytes are there
    deployments     whether another Airflow writes here
    evidence        whether records of evidence are there as the inventory knows them
    listing         how much everything takes

WAL
    windows         to which moments each repository leads, by names
    spans           windows as stretches of time
    gaps            what a hole between them means
    archiving       the server and its archiver, by the three below
    following       looks on until the repositories have caught up
    loss            what would be lost, bounded from both sides
    slot            the replication slot

What no target tells
    configuration   target files that are wrong
    undescribed     backups of targets that are described no more

What backups need
    reach           which repositories answer
    repositories    whether they take what is written
    space           room in file systems
    spools          room and leftovers where bytes are on their way
    clocks          whether clocks agree
    source          the protected database
    keys            what is known of keys
    key_findings    what is wrong with them
"""
