"""What the Evaluate page and `studio eval` share: what is asked, and the answers as a page shows them."""
