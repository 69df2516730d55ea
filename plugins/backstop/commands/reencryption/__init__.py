"""What a compromised key protects, encrypted anew; the old goes once the new is proven."""
