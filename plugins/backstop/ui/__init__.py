"""What people look at in a browser: pages made on the server, from the inventory alone."""
