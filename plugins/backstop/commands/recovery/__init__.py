"""Recovery to a point in time: plan, run, cut over."""
