"""One module per contender of bench_chain, each run in its own environment: see drive.py."""
