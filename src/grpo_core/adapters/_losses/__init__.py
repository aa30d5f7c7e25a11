"""The loss half of the adapters: what each trainer hands to a loss, and who divides by what."""
