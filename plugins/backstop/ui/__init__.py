"""What people and monitoring look at; it reads the inventory and nothing else."""
