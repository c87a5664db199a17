"""What is done to the pixels of training images."""
