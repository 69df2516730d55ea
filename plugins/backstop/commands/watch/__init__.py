"""Looking at a target: what there is to see of it, and what is wrong with it."""
