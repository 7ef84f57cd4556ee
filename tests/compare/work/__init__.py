"""One module per library. Each entry trains, writes a model file and says what it did."""
