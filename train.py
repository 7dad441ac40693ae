"""Train one run, or with -m a grid: the project's only entry point.

    python train.py loss=huber optimizer.lr=0.5

Hydra composes the configuration from conf/; `fashion_softmax/cli.py` takes it from there.
"""

from fashion_softmax.cli import main

if __name__ == "__main__":
    main()
