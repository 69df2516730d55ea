"""Single tables out of a backup."""
