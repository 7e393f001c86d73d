"""What a device can say: one TOML file a product, the closed vocabulary, and the door that checks both."""
