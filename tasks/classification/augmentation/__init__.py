"""What is done to training images, as published fine-tuning recipes have it; one subject a file.

`views` makes a training or test view of an image, by `randaugment` and `operations` among others;
`erasing.fill` and `mixing` act on whole batches, inside the model.
"""
