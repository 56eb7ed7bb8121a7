"""Dead letters: which there are, what each says, and putting them back."""
