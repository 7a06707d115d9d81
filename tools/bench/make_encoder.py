"""Makes a generated encoder of the shape of all-MiniLM-L6-v2, for races where the real one is not there.

make_encoder.py FOLDER
"""

import sys
from pathlib import Path

import torch
from transformers import BertConfig, BertModel


def main(folder):
    if (Path(folder) / "model.safetensors").is_file():
        return
    torch.manual_seed(1)
    shape = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
    BertModel(BertConfig(vocab_size=30522, max_position_embeddings=512, **shape)).save_pretrained(folder)


if __name__ == "__main__":
    main(sys.argv[1])
