"""Tiny modules that the golden adapters are trained on. Random weights, seeded; nothing is downloaded."""

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D


class Block(nn.Module):
    """One layer: three projections of different shapes, biases on two of them."""

    def __init__(self, dim=8, inner=12):
        super().__init__()
        self.q_proj = nn.Linear(dim, inner)
        self.v_proj = nn.Linear(dim, inner, bias=False)
        self.o_proj = nn.Linear(inner, dim)

    def forward(self, x):
        return x + self.o_proj(torch.tanh(self.q_proj(x)) * self.v_proj(x))


class Body(nn.Module):
    def __init__(self, dim=8, inner=12, layers=2, tokens=11):
        super().__init__()
        self.embed_tokens = nn.Embedding(tokens, dim)
        self.layers = nn.ModuleList([Block(dim, inner) for _ in range(layers)])

    def forward(self, ids):
        x = self.embed_tokens(ids)
        for layer in self.layers:
            x = layer(x)
        return x


class Linears(nn.Module):
    """model.layers.{0,1}.{q,v,o}_proj, model.embed_tokens, score."""

    def __init__(self):
        super().__init__()
        self.model = Body()
        self.score = nn.Linear(8, 3)

    def forward(self, ids):
        return self.score(self.model(ids))

    @staticmethod
    def example():
        return torch.tensor([[0, 3, 5, 10, 2]])


class FanInFanOut(nn.Module):
    """Hugging Face's Conv1D, whose weight is stored [in, out]."""

    def __init__(self):
        super().__init__()
        self.h = nn.ModuleList([nn.ModuleDict({"c_attn": Conv1D(18, 6), "c_proj": Conv1D(6, 18)}) for _ in range(2)])

    def forward(self, x):
        for layer in self.h:
            x = x + layer["c_proj"](torch.tanh(layer["c_attn"](x)))
        return x

    @staticmethod
    def example():
        return torch.linspace(-1, 1, 12).reshape(2, 6)


class Convolution(nn.Module):
    """One stem (kernel > 1) and one pointwise convolution of the given dimension; the stem may be grouped."""

    def __init__(self, dims, groups=1):
        super().__init__()
        conv = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[dims]
        self.dims = dims
        self.stem = conv(4, 6, 3, padding=1, groups=groups)
        self.point = conv(6, 4, 1)

    def forward(self, x):
        return self.point(torch.tanh(self.stem(x)))

    def example(self):
        shape = (2, 4) + (5,) * self.dims
        count = 8 * 5**self.dims
        return torch.sin(torch.arange(count, dtype=torch.float32)).reshape(shape)


class Experts(nn.Module):
    """3-D parameters: gate_up [E, 2f, d] and down [E, d, f], stored [E, out, in]."""

    def __init__(self, experts=3, dim=6, inner=4):
        super().__init__()
        self.gate_up_proj = nn.Parameter(torch.empty(experts, 2 * inner, dim))
        self.down_proj = nn.Parameter(torch.empty(experts, dim, inner))

    def forward(self, x):
        up = torch.einsum("bi,eoi->beo", x, self.gate_up_proj)
        a, b = up.chunk(2, -1)
        return torch.einsum("bei,eoi->bo", torch.tanh(a) * b, self.down_proj)


class TransposedExperts(Experts):
    """The same stored [E, in, out], as gpt-oss and Llama 4 do."""

    def __init__(self, experts=2, dim=6, inner=4):
        nn.Module.__init__(self)
        self.is_transposed = True
        self.gate_up_proj = nn.Parameter(torch.empty(experts, dim, 2 * inner))
        self.down_proj = nn.Parameter(torch.empty(experts, inner, dim))

    def forward(self, x):
        up = torch.einsum("bi,eio->beo", x, self.gate_up_proj)
        a, b = up.chunk(2, -1)
        return torch.einsum("bei,eio->bo", torch.tanh(a) * b, self.down_proj)


class MixtureOfExperts(nn.Module):
    def __init__(self, experts_class=Experts):
        super().__init__()
        self.layers = nn.ModuleList([nn.ModuleDict({"router": nn.Linear(6, 3), "experts": experts_class()})])

    def forward(self, x):
        for layer in self.layers:
            x = x * layer["router"](x).sum(-1, keepdim=True) + layer["experts"](x)
        return x

    @staticmethod
    def example():
        return torch.linspace(-1, 1, 12).reshape(2, 6)


def tiny_llama(tied=False, layers=2, biases=False):
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = dict(hidden_size=8, intermediate_size=12, num_attention_heads=2, num_key_value_heads=2, vocab_size=13)
    config = LlamaConfig(
        num_hidden_layers=layers, tie_word_embeddings=tied, attention_bias=biases, mlp_bias=biases, **shape
    )
    return LlamaForCausalLM(config)


def tiny_gpt2():
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(vocab_size=13, n_positions=16, n_embd=8, n_layer=2, n_head=2, tie_word_embeddings=False)
    return GPT2LMHeadModel(config)


def randomized(model, seed):
    """The model with every parameter drawn from a normal distribution, in a fixed order."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, parameter in sorted(model.named_parameters(remove_duplicate=True)):
            fan = parameter.shape[-1] if parameter.dim() > 1 else 1
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / fan**0.5)
    return model
