"""What makes the files that are shipped, and the pictures of the documentation."""
