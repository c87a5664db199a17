"""Which class is it? Fine-grained classification, fine-tuned or on fixed features."""
