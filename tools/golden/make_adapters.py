"""Writes tests/golden/adapters: one folder per variant of adapter, saved by PEFT, with its meaning in float64.

Usage: python tools/golden/make_adapters.py [variant ...]
"""

import json
import re
import shutil
import sys
import warnings

import common
from common import GOLDEN, PREFIX, VERSIONS, delta, lora_modules, relative, stored, write_json, write_tensors

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

import tiny_models
from tiny_models import Convolution, FanInFanOut, Linears, MixtureOfExperts, TransposedExperts, randomized, tiny_llama

warnings.filterwarnings("ignore")
OUT = GOLDEN / "adapters"
ATTENTION = ["q_proj", "v_proj"]
INDEX = []


def base_of(maker, seed, dtype=torch.float32):
    model = randomized(maker(), seed).to(dtype)
    model.name_or_path = "tiny-base"
    return model


def randomize_adapter(model, seed, scale=0.4):
    """Everything that training would change gets random values, biases and magnitudes included."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            trained = parameter.requires_grad or ".lora_" in name
            if not trained:
                continue
            noise = torch.randn(parameter.shape, generator=generator).to(parameter.dtype)
            if "lora_magnitude_vector" in name:
                parameter.copy_(parameter * (1 + 0.3 * noise.abs()))
            elif ".lora_" in name:
                parameter.copy_(scale * noise)
            else:
                parameter.add_(scale * noise)


def perturb_adapter(model, seed, scale=0.2):
    """For inits that mean something: the trained values stay near the initial ones."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            if ".lora_" in name:
                parameter.add_(scale * torch.randn(parameter.shape, generator=generator))


def save(model, folder, **kwargs):
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(str(folder), save_embedding_layers=False, **kwargs)
    (folder / "README.md").unlink(missing_ok=True)
    sort_targets(folder)


def sort_targets(folder):
    """PEFT keeps targets in a set: their order in the file is hash order, sorted here."""
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    for key in ("target_modules", "exclude_modules", "modules_to_save"):
        if isinstance(config.get(key), list):
            config[key] = sorted(config[key])
    write_config(folder, config)


def write_config(folder, config):
    text = json.dumps(config, indent=2, ensure_ascii=False)
    (folder / "adapter_config.json").write_text(text, encoding="utf-8")


def read_config(folder):
    return json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))


def lora(**kwargs):
    defaults = dict(r=4, lora_alpha=6, target_modules=ATTENTION, base_model_name_or_path="tiny-base")
    return LoraConfig(**{**defaults, **kwargs})


def weights(model):
    return {name: value.detach().double().numpy().copy() for name, value in model.state_dict().items()}


def oriented(kind, difference, shape_of):
    """A base weight's change in the orientation s * B * A."""
    if kind in ("conv1d_hf", "embedding"):
        return difference.T
    return difference.reshape(shape_of.shape) if difference.ndim > 2 else difference


def merged_change(maker, seed, folder, dtype=torch.float64):
    """Per parameter: what PEFT's merge_and_unload adds to the original base."""
    model = base_of(maker, seed).to(dtype)
    before = weights(model)
    peft_model = PeftModel.from_pretrained(model, str(folder), autocast_adapter_dtype=False)
    after = weights(peft_model.merge_and_unload())
    return {name: after[name] - before[name] for name in before if name in after}, before


def kind_of(maker, module):
    layer = maker().get_submodule(module)
    if isinstance(layer, torch.nn.Embedding):
        return "embedding"
    return "conv1d_hf" if type(layer).__name__ == "Conv1D" else "plain"


def check_against_merge(maker, seed, folder, out):
    """Largest relative difference of our deltas (and bias deltas, full tensors) from PEFT's own merge in float64."""
    deltas, biases = pick(out, "delta/"), pick(out, "bias/")
    # MiCA's init refuses a base in float64.
    single = read_config(folder)["init_lora_weights"] == "mica"
    change, before = merged_change(maker, seed, folder, torch.float32 if single else torch.float64)
    worst = 0.0
    for module, value in deltas.items():
        got = oriented(kind_of(maker, module), change[module + ".weight"], value)
        worst = max(worst, relative(got, value))
    for module, value in biases.items():
        worst = max(worst, relative(change[module + ".bias"], value))
    for name, value in pick(out, "full/").items():
        rows = next(iter((read_config(folder).get("trainable_token_indices") or {"": None}).values()))
        merged = before[name] + change[name]
        worst = max(worst, relative(merged if rows is None else merged[rows], value))
    if not worst < (1e-5 if single else 1e-6):
        raise SystemExit(f"{folder.name}: PEFT's merge differs by {worst}")
    return worst


def check_against_forward(maker, seed, folder, out):
    """Relative difference of PEFT's unmerged forward in float64 from the base with our deltas added by hand."""
    deltas, biases = pick(out, "delta/"), pick(out, "bias/")
    meant = base_of(maker, seed).double()
    adapted = PeftModel.from_pretrained(base_of(maker, seed).double(), str(folder), autocast_adapter_dtype=False)
    with torch.no_grad():
        for module, value in deltas.items():
            layer = meant.get_submodule(module)
            turned = value if kind_of(maker, module) == "plain" else value.T
            layer.weight += torch.from_numpy(turned.copy()).reshape(layer.weight.shape)
        for module, value in biases.items():
            meant.get_submodule(module).bias += torch.from_numpy(value)
        x = meant.example()
        x = x.double() if x.is_floating_point() else x
        worst = relative(adapted.eval()(x).numpy(), meant.eval()(x).numpy())
    if not worst < 1e-6:
        raise SystemExit(f"{folder.name}: PEFT's forward differs by {worst}")
    return worst


def record(name, what, note, refused=None, **more):
    INDEX.append({"folder": name, "what": what, "refused": refused, "note": note, **more})


def expected(folder, note, extra=None):
    config, tensors = stored(folder)
    out = {f"delta/{module}": delta(config, tensors, module) for module in lora_modules(tensors)}
    for module in lora_modules(tensors):
        bias = tensors.get(f"{PREFIX}{module}.lora_B.bias")
        if bias is not None:
            out[f"bias/{module}"] = common.scale_of(config, module)[0] * bias
        magnitude = tensors.get(f"{PREFIX}{module}.lora_magnitude_vector")
        if magnitude is not None:
            out[f"magnitude/{module}"] = magnitude.reshape(-1)
    for key, value in tensors.items():
        if ".lora_" not in key:
            out["full/" + full_name(key)] = value
    out.update(extra or {})
    write_tensors(folder / "expected.safetensors", out, note)
    return out


def full_name(key):
    """The parameter of the base that a stored full tensor replaces."""
    name = key.removeprefix(PREFIX).replace(".base_layer.", ".").replace(".modules_to_save.", ".")
    return name.replace(".token_adapter.trainable_tokens_delta", ".weight")


def pick(out, prefix):
    return {name[len(prefix) :]: value for name, value in out.items() if name.startswith(prefix)}


def ordinary(
    name, what, maker, config, seed=1, check=("merge", "forward"), dtype=torch.float32, keep_base=False, **save_kwargs
):
    """Train-like, save, expect, compare with PEFT's own merge."""
    folder = OUT / name
    model = get_peft_model(base_of(maker, seed, dtype), config, autocast_adapter_dtype=False)
    randomize_adapter(model, seed + 100)
    save(model, folder, **save_kwargs)
    note = what + "; delta = s*B*A in float64 from the stored tensors"
    out = expected(folder, note)
    for way in check:
        test = check_against_merge if way == "merge" else check_against_forward
        worst = test(maker, seed, folder, out)
        note += f"; PEFT's {way} agrees to {worst:.0e}"
        expected(folder, note)
    if keep_base:
        save_base(maker, seed, folder)
    record(name, what, note)
    return folder


def save_base(maker, seed, folder):
    _, tensors = stored(folder)
    state = base_of(maker, seed).state_dict()
    kept = {
        f"{m}.{p}": state[f"{m}.{p}"] for m in lora_modules(tensors) for p in ("weight", "bias") if f"{m}.{p}" in state
    }
    save_file(
        {k: v.clone().contiguous() for k, v in kept.items()},
        str(folder / "base.safetensors"),
        metadata={"format": "pt"},
    )


def effective(name, what, maker, config, seed, randomize=randomize_adapter, plain=None, dtype=torch.float64, **kwargs):
    """A variant whose update needs the base: `effective/<module>` = PEFT's merged weight - original weight."""
    folder = OUT / name
    model = get_peft_model(base_of(maker, seed), config, autocast_adapter_dtype=False)
    randomize(model, seed + 100)
    save(model, folder, **kwargs)
    save_base(maker, seed, folder)
    note = what
    out = expected(folder, note)
    change, before = merged_change(maker, seed, folder, dtype)
    extra, worst = {}, 0.0
    for module, value in pick(out, "delta/").items():
        base = oriented(kind_of(maker, module), before[module + ".weight"], value)
        meaning = plain(read_config(folder), stored(folder)[1], module, base, value)
        got = oriented(kind_of(maker, module), change[module + ".weight"], value)
        worst = max(worst, relative(got, meaning))
        extra["effective/" + module] = meaning
    if not worst < 5e-6:
        raise SystemExit(f"{name}: PEFT's merge differs by {worst}")
    note += (
        f"; effective = update of the ORIGINAL base (base.safetensors) in float64; PEFT's merge agrees to {worst:.0e}"
    )
    expected(folder, note, extra)
    record(name, what, note, needs_base=True)


def dora_meaning(config, tensors, module, base, value):
    magnitude = tensors[f"{PREFIX}{module}.lora_magnitude_vector"].reshape(-1)
    total = base + value
    gain = magnitude / np.linalg.norm(total, axis=1)
    return gain[:, None] * total - base


def pissa_meaning(config, tensors, module, base, value):
    rank = common.scale_of(config, module)[1]
    u, s, v = np.linalg.svd(base, full_matrices=False)
    return value - (u[:, :rank] * s[:rank]) @ v[:rank]


def olora_meaning(config, tensors, module, base, value):
    scale, rank = common.scale_of(config, module)
    q, r = np.linalg.qr(base)
    return value - scale * (q[:, :rank] @ r[:rank])


def kasa_meaning(config, tensors, module, base, value):
    rank = common.scale_of(config, module)[1]
    u, s, v = np.linalg.svd(base, full_matrices=False)
    keep = len(s) - rank
    return value - (u[:, keep:] * s[keep:]) @ v[keep:]


def simple_variants():
    linears = Linears
    ordinary("plain", "r 4, alpha 6, two layers of q_proj and v_proj", linears, lora())
    ordinary("plain_fp16", "the same stored in float16", linears, lora(), dtype=torch.float16)
    ordinary("plain_bf16", "the same stored in bfloat16", linears, lora(), dtype=torch.bfloat16)
    ordinary("bin", "adapter_model.bin written by safe_serialization=False", linears, lora(), safe_serialization=False)
    ordinary("rslora", "use_rslora: s = alpha / sqrt(r)", linears, lora(use_rslora=True))
    patterns = lora(
        rank_pattern={"layers.1.q_proj": 3, "v_proj": 2},
        alpha_pattern={"layers\\.0\\..*": 5, "layers.1.v_proj": 7, "v_proj": 9},
    )
    ordinary(
        "patterns",
        "rank_pattern and alpha_pattern; several alpha patterns hit a module, the first in the file wins",
        linears,
        patterns,
    )
    rs_patterns = lora(use_rslora=True, rank_pattern={"^model.layers.0.q_proj": 2}, alpha_pattern={"q_proj": 3})
    ordinary("patterns_rslora", "patterns with use_rslora, one pattern anchored with ^", linears, rs_patterns)
    ordinary(
        "fan_in_fan_out",
        "Hugging Face Conv1D, base stored [in, out]",
        FanInFanOut,
        lora(target_modules=["c_attn", "c_proj"], fan_in_fan_out=True),
    )
    for dims in (1, 2, 3):
        ordinary(
            f"conv{dims}d",
            f"nn.Conv{dims}d, kernel 3 (stem) and 1 (point)",
            lambda d=dims: Convolution(d),
            lora(target_modules=["stem", "point"], r=2, lora_alpha=3),
            check=("merge", "forward") if dims < 3 else ("forward",),
        )
    ordinary(
        "embedding",
        "nn.Embedding and a linear; keys without .weight",
        linears,
        lora(target_modules=["embed_tokens", "q_proj"]),
    )
    ordinary(
        "lora_bias",
        "lora_bias: lora_B.bias, bias update s * beta",
        linears,
        lora(target_modules=["q_proj", "o_proj"], lora_bias=True),
    )
    ordinary(
        "bdlora",
        "block-diagonal A (o_proj) and B (q_proj), 2 blocks",
        linears,
        lora(
            target_modules=["q_proj", "o_proj"],
            use_bdlora={
                "target_modules_bd_a": ["o_proj"],
                "target_modules_bd_b": ["q_proj"],
                "nblocks": 2,
                "match_strict": True,
            },
        ),
    )
    ordinary("mica", "init mica: ordinary delta", linears, lora(init_lora_weights="mica"), check=("merge",))
    ordinary(
        "velora",
        "VeLoRA: training-time only, ordinary delta; extra key lora_velora_embed",
        linears,
        lora(velora_config={"num_groups": 2, "scale": 1.0, "init_type": "random"}),
    )
    ordinary(
        "monteclora",
        "MonteCLoRA: noise in training only, merges as an ordinary delta; extra keys lora_monteclora_sampler.*",
        linears,
        lora(target_modules=["q_proj"], r=3, monteclora_config={"num_samples": 2, "buffer_size": 2}),
    )
    ordinary(
        "alora",
        "aLoRA: active only after its invocation tokens; factors are ordinary, merging into the base is not possible",
        linears,
        lora(alora_invocation_tokens=[3, 4]),
        check=(),
    )
    ordinary(
        "eva_like",
        "per-module ranks and alphas under full paths, as EVA and conversion write them",
        linears,
        lora(
            r=1,
            lora_alpha=1,
            rank_pattern={"model.layers.0.q_proj": 3, "model.layers.1.v_proj": 2},
            alpha_pattern={"model.layers.0.q_proj": 3, "model.layers.1.v_proj": 2},
        ),
    )
    ordinary(
        "regex_targets",
        "target_modules is a regular expression",
        linears,
        lora(target_modules=r".*\.layers\.[01]\.(q_proj|o_proj)"),
    )


def base_variants():
    effective("dora", "use_dora on linears: magnitude vectors", Linears, lora(use_dora=True), 5, plain=dora_meaning)
    effective(
        "dora_fan_in_fan_out",
        "use_dora on Conv1D of Hugging Face",
        FanInFanOut,
        lora(use_dora=True, target_modules=["c_attn"], fan_in_fan_out=True),
        5,
        plain=dora_meaning,
    )
    effective(
        "dora_conv",
        "use_dora on nn.Conv2d; the stored magnitude is [1, out, 1, 1]",
        lambda: Convolution(2),
        lora(use_dora=True, target_modules=["stem", "point"], r=2),
        5,
        plain=dora_meaning,
    )
    effective(
        "dora_embedding",
        "use_dora on nn.Embedding; magnitude per dimension",
        Linears,
        lora(use_dora=True, target_modules=["embed_tokens"]),
        5,
        plain=dora_meaning,
    )
    effective(
        "dora_rslora", "use_dora with use_rslora", Linears, lora(use_dora=True, use_rslora=True), 5, plain=dora_meaning
    )
    single = dict(dtype=torch.float32, randomize=perturb_adapter)
    effective(
        "pissa",
        "init pissa: tensors are relative to the mutated base",
        Linears,
        lora(init_lora_weights="pissa"),
        6,
        plain=pissa_meaning,
        **single,
    )
    effective(
        "olora",
        "init olora: tensors are relative to the mutated base",
        Linears,
        lora(init_lora_weights="olora"),
        6,
        plain=olora_meaning,
        **single,
    )
    effective(
        "kasa",
        "KaSA: s * B * diag(lora_diag) * A on a base without its r smallest singular directions",
        Linears,
        lora(kasa_config={}),
        6,
        plain=kasa_meaning,
        dtype=torch.float64,
    )


def grouped_conv():
    maker = lambda: Convolution(2, groups=2)  # noqa: E731
    folder = OUT / "conv2d_grouped"
    model = get_peft_model(base_of(maker, 3), lora(target_modules=["stem", "point"], r=4), autocast_adapter_dtype=False)
    randomize_adapter(model, 103)
    save(model, folder)
    out = expected(folder, "")
    base = base_of(maker, 3).double()
    adapted = PeftModel.from_pretrained(base_of(maker, 3).double(), str(folder), autocast_adapter_dtype=False)
    x = maker().example().double()
    full = torch.from_numpy(out["delta/stem"]).reshape(6, 4, 3, 3)
    meant = base.stem(x) + torch.nn.functional.conv2d(x, full, padding=1)
    worst = relative(adapted.base_model.model.stem(x).detach().numpy(), meant.detach().numpy())
    if not worst < 1e-6:
        raise SystemExit(f"conv2d_grouped: forward differs by {worst}")
    note = (
        "groups=2 on stem: lora_A [r, C_in of all groups, k, k], lora_B [out, r/2, 1, 1]; output rows of group g use "
        "rank rows [g*r/2, (g+1)*r/2) of A over ALL input channels; "
        f"PEFT's forward in float64 agrees to {worst:.0e}, its merge refuses"
    )
    expected(folder, note)
    record("conv2d_grouped", "grouped convolution (stem) and an ordinary one (point)", note, groups={"stem": 2})


def full_tensor_variants():
    ordinary("modules_to_save", "declared head", Linears, lora(modules_to_save=["score"]), check=("merge",))
    ordinary(
        "bias_lora_only",
        "bias=lora_only: biases of targeted modules, replacement values",
        Linears,
        lora(bias="lora_only"),
        check=("merge",),
    )
    ordinary(
        "bias_all", "bias=all: every bias of the model, replacement values", Linears, lora(bias="all"), check=("merge",)
    )
    name = "trainable_tokens"
    ordinary(
        name,
        "trainable_token_indices: rows of embed_tokens, replacement values in the order of the list; "
        "full/model.embed_tokens.weight holds only those rows",
        Linears,
        lora(trainable_token_indices={"embed_tokens": [2, 5, 9]}),
        check=("merge",),
    )
    folder = OUT / "undeclared_head"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(OUT / "plain", folder)
    tensors = load_file(folder / "adapter_model.safetensors")
    generator = torch.Generator().manual_seed(9)
    tensors[PREFIX + "score.weight"] = torch.randn(3, 8, generator=generator)
    save_file(tensors, str(folder / "adapter_model.safetensors"), metadata={"format": "pt"})
    note = "plain plus a score.weight that modules_to_save does not declare (edited by hand, as older checkpoints are)"
    expected(folder, note)
    record("undeclared_head", "undeclared full tensor", note)


def experts():
    for name, maker in (
        ("target_parameters", MixtureOfExperts),
        ("target_parameters_transposed", lambda: MixtureOfExperts(TransposedExperts)),
    ):
        folder = OUT / name
        config = lora(
            target_modules=["router"],
            target_parameters=["experts.down_proj", "experts.gate_up_proj"],
            r=2,
            lora_alpha=5,
        )
        model = get_peft_model(base_of(maker, 4), config, autocast_adapter_dtype=False)
        randomize_adapter(model, 104)
        save(model, folder)
        out, nesting = expert_deltas(model, folder)
        transposed = name.endswith("transposed")
        change, _ = merged_change(maker, 4, folder)
        worst = 0.0
        for module, value in out.items():
            if not module.rpartition("/")[2].isdigit():
                continue
            parameter, _, expert = module.removeprefix("delta/").rpartition("/")
            got = change[parameter][int(expert)]
            worst = max(worst, relative(got.T if transposed else got, value))
        if not worst < 1e-6:
            raise SystemExit(f"{name}: PEFT's merge differs by {worst}")
        layout = "[E, in, out], is_transposed" if transposed else "[E, out, in]"
        note = (
            f"two 3-D parameters of one module ({layout}) and the router; the innermost wrapper (base_layer.) belongs "
            "to the parameter that the module defines first; A is expert-major, "
            f"B expert-minor, s = alpha / r; PEFT's merge in float64 agrees to {worst:.0e}"
        )
        write_tensors(folder / "expected.safetensors", out, note)
        record(name, "experts: delta/<module>.<parameter>/<expert> [out, in]", note, nesting=nesting)


def expert_deltas(model, folder):
    config, tensors = stored(folder)
    out, nesting = {}, {}
    for path, wrapper in model.named_modules():
        if type(wrapper).__name__ != "ParamWrapper":
            continue
        key = path.removeprefix(PREFIX)
        module = key.replace(".base_layer", "")
        parameter = f"{module}.{wrapper.parameter_name}"
        nesting[key] = parameter
        a, b = tensors[f"{PREFIX}{key}.lora_A.weight"], tensors[f"{PREFIX}{key}.lora_B.weight"]
        scale, rank = common.scale_of(config, parameter)
        experts_count = a.shape[0] // rank
        a = a.reshape(experts_count, rank, -1)
        b = b.reshape(b.shape[0], rank, experts_count)
        for expert in range(experts_count):
            out[f"delta/{parameter}/{expert}"] = scale * (b[:, :, expert] @ a[expert])
    router = "layers.0.router"
    out[f"delta/{router}"] = delta(config, tensors, router)
    return out, nesting


def qalora():
    """PEFT offers QALoRA only for GPTQ layers: the forward of its variant is called by hand to check the meaning."""
    from peft.tuners.lora.variants import QALoraLinearVariant

    folder = OUT / "qalora"
    config = lora(use_qalora=True, qalora_group_size=4)
    model = get_peft_model(base_of(Linears, 7), lora(), autocast_adapter_dtype=False)
    layers = {name: m for name, m in model.named_modules() if type(m).__name__ == "Linear" and hasattr(m, "lora_A")}
    for layer in layers.values():
        QALoraLinearVariant.init(layer, "default", config)
    randomize_adapter(model, 107)
    save(model, folder)
    edit(folder, use_qalora=True, qalora_group_size=4)
    out = expected(folder, "")
    worst = 0.0
    for path, layer in layers.items():
        x = torch.linspace(-1, 1, 3 * layer.in_features, dtype=torch.float64).reshape(3, -1)
        got = QALoraLinearVariant.forward(layer.double(), "default", x, torch.zeros(3, layer.out_features).double())
        worst = max(worst, relative(got.detach().numpy(), x.numpy() @ out["delta/" + path.removeprefix(PREFIX)].T))
    if not worst < 1e-6:
        raise SystemExit(f"qalora: {worst}")
    note = (
        "A stored [r, in/g], g 4: A_full[:, j] = A[:, j // g] * in / g^2; made with PEFT's variant on plain linears "
        f"(it serves GPTQ layers only), whose forward agrees to {worst:.0e}"
    )
    expected(folder, note)
    record("qalora", "QALoRA storage", note)


def edit(folder, remove=(), **changes):
    config = read_config(folder)
    for key in remove:
        config.pop(key, None)
    config.update(changes)
    write_config(folder, config)


def edited(name, what, note, refused=None, source="plain", remove=(), needs_base=False, **changes):
    """A copy of another golden adapter whose config was edited by hand."""
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(OUT / source, folder)
    edit(folder, remove, **changes)
    note = f"{note} (config of {source} edited by hand)"
    expected(folder, note)
    record(name, what, note, refused, **({"needs_base": True} if needs_base else {}))
    return folder


def edited_variants():
    recover = "the mutated base cannot be recovered from the original one alone; the deltas here are s*B*A as stored"
    edited(
        "corda", "init corda", recover, needs_base=True, init_lora_weights="corda", corda_config={"corda_method": "ipm"}
    )
    edited(
        "lora_ga",
        "init lora_ga",
        recover,
        needs_base=True,
        init_lora_weights="lora_ga",
        lora_ga_config={"direction": "ArB2r", "scale": "stable", "stable_gamma": 16},
    )
    edited(
        "loftq",
        "init loftq",
        recover,
        needs_base=True,
        init_lora_weights="loftq",
        loftq_config={"loftq_bits": 4, "loftq_iter": 1},
    )
    edited("pissa_niter", "init pissa_niter_16", recover, needs_base=True, init_lora_weights="pissa_niter_16")
    edited(
        "windows_path_base",
        "base_model_name_or_path is a Windows path with non-ASCII letters",
        "ordinary adapter",
        base_model_name_or_path="C:\\Nutzer\\Jörg\\模型\\tiny-base",
    )
    edited(
        "unknown_keys",
        "a config from a later version with unknown keys",
        "ordinary adapter",
        future_option={"a": [1, None]},
        use_future=False,
        another_config=None,
    )
    edited(
        "unknown_variant",
        "an unknown key that is on and named like a variant",
        "ordinary tensors; worth a warning",
        use_future_variant=True,
    )
    edited("float_alpha", "lora_alpha is a float", "alpha 8.485", lora_alpha=8.48528137423857)
    order = {"v_proj": 9, "o_proj|q_proj": 5, "layers.1.v_proj": 7, "layers\\.0\\..*": 11}
    folder = edited(
        "patterns_order",
        "alpha patterns in an order that is not alphabetical: v_proj wins over layers.1.v_proj",
        "first hit in file order",
        source="patterns",
        alpha_pattern=order,
    )
    check_against_merge(
        Linears,
        1,
        folder,
        expected(
            folder, "first hit in file order, as PEFT loads it; patterns edited by hand; PEFT's merge in float64 agrees"
        ),
    )
    keep = {
        "base_model_name_or_path",
        "fan_in_fan_out",
        "inference_mode",
        "lora_alpha",
        "lora_dropout",
        "peft_type",
        "r",
        "target_modules",
        "task_type",
    }
    drop = [key for key in read_config(OUT / "plain") if key not in keep]
    folder = edited(
        "old_short_config",
        "the oldest short config, with keys that are gone since",
        "keys bias, enable_lora, merge_weights, modules_to_save as early 2023 wrote them",
        source="bin",
        remove=drop,
        bias="none",
        enable_lora=None,
        merge_weights=False,
        modules_to_save=None,
    )
    assert "rank_pattern" not in read_config(folder)
    folder = edited("zero_b", "untrained: every B is zero", "warning only; delta is zero")
    tensors = load_file(folder / "adapter_model.safetensors")
    save_file(
        {k: v * 0 if ".lora_B." in k else v for k, v in tensors.items()},
        str(folder / "adapter_model.safetensors"),
        metadata={"format": "pt"},
    )
    expected(folder, "every B is zero: delta is zero")


def pickles():
    """adapter_model.bin with tensors that are views of one larger storage, and in the format before zip files."""
    source = load_file(OUT / "plain" / "adapter_model.safetensors")
    big = torch.full((sum(t.numel() for t in source.values()) + 7,), 99.0)
    views, offset = {}, 7
    for i, (name, tensor) in enumerate(sorted(source.items())):
        piece = big[offset : offset + tensor.numel()]
        view = piece.view(tensor.shape[1], tensor.shape[0]).t() if i % 2 else piece.view(tensor.shape)
        view.copy_(tensor)
        views[name] = view
        offset += tensor.numel()
    # One storage in the old format too: it writes several in the order of their addresses.
    flat = torch.cat([tensor.reshape(-1) for tensor in source.values()])
    pieces = torch.split(flat, [tensor.numel() for tensor in source.values()])
    source = {name: piece.view(source[name].shape) for name, piece in zip(source, pieces)}
    for name, kwargs in (("bin_views", {}), ("bin_legacy", {"_use_new_zipfile_serialization": False})):
        folder = OUT / name
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(OUT / "plain", folder)
        (folder / "adapter_model.safetensors").unlink()
        torch.save(views if name == "bin_views" else source, folder / "adapter_model.bin", **kwargs)
        if kwargs:
            name_storages(folder / "adapter_model.bin")
        what = (
            "views with offsets and strides into one storage"
            if name == "bin_views"
            else "pickle before zip files (torch < 1.6)"
        )
        note = what + "; torch.save by hand from plain"
        expected(folder, note)
        record(name, "adapter_model.bin: " + what, note)


def name_storages(file):
    """The format before zip files names storages by their address: replaced by numbers of the same length."""
    data = file.read_bytes()
    for i, key in enumerate(dict.fromkeys(re.findall(rb"[0-9]{12,16}", data))):
        data = data.replace(key, str(i + 1).encode().rjust(len(key), b"7"))
    file.write_bytes(data)


def other_types():
    from peft import AdaLoraConfig, IA3Config, LoHaConfig, LoKrConfig, VeraConfig

    common_arguments = dict(target_modules=["q_proj"], base_model_name_or_path="tiny-base")
    configs = {
        "loha": LoHaConfig(r=2, alpha=3, **common_arguments),
        "lokr": LoKrConfig(r=2, alpha=3, **common_arguments),
        "adalora": AdaLoraConfig(init_r=3, target_r=2, total_step=10, **common_arguments),
        "vera": VeraConfig(r=4, **common_arguments),
        "ia3": IA3Config(feedforward_modules=[], **common_arguments),
    }
    for name, config in configs.items():
        folder = OUT / name
        model = get_peft_model(base_of(Linears, 8), config)
        save(model, folder)
        note = f"peft_type {config.peft_type.value}: recognised by name and refused"
        write_tensors(folder / "expected.safetensors", {"refused": np.ones(1)}, note)
        record(name, f"peft_type {config.peft_type.value}", note, refused=f"peft_type {config.peft_type.value}")


def transformers_variants():
    """Models of transformers: tied embeddings and replicated layers."""
    replicated = lora(layer_replication=[[0, 2], [1, 2]], target_modules=["q_proj"], task_type="CAUSAL_LM")
    ordinary(
        "layer_replication",
        "layer_replication: layer 2 is a copy of layer 1; layer indices are those of the expanded model",
        tiny_llama,
        replicated,
        seed=11,
        check=(),
    )
    tied = lora(target_modules=["embed_tokens", "q_proj"], ensure_weight_tying=True, task_type="CAUSAL_LM")
    ordinary(
        "tied_embedding",
        "ensure_weight_tying: the embedding's pair and the head's transposed pair",
        lambda: tiny_llama(tied=True),
        tied,
        seed=12,
        check=(),
    )


GROUPS = [
    simple_variants,
    base_variants,
    grouped_conv,
    full_tensor_variants,
    experts,
    qalora,
    edited_variants,
    pickles,
    other_types,
    transformers_variants,
]


def main():
    common.check_versions()
    only = sys.argv[1:]
    OUT.mkdir(parents=True, exist_ok=True)
    for group in GROUPS:
        if not only or group.__name__ in only:
            group()
    if only:
        return
    listed = {entry["folder"] for entry in INDEX}
    for folder in OUT.iterdir():
        if folder.is_dir() and folder.name not in listed:
            shutil.rmtree(folder)
    write_json(OUT / "index.json", {"versions": VERSIONS, "adapters": sorted(INDEX, key=lambda entry: entry["folder"])})


if __name__ == "__main__":
    main()
