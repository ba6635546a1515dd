"""Start and keep up multi-model agent projects."""
