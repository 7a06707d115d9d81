"""Small tokenizers with the components of well-known families, trained on a little text."""

import base64
import json

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"
DEEPSEEK = ["[\r\n]", "\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-Ֆ]+", "\\s?[!-/:-~！-／：-～‘-‟　-。]+", "\\s+$", "[一-龥ࠀ-一가-퟿]+"]
BYTES = [f"<0x{b:02X}>" for b in range(256)]


def special(text, **options):
    return AddedToken(text, special=True, normalized=False, **options)


def plain(text, **options):
    return AddedToken(text, special=False, **{"normalized": False, **options})


def train_bpe(tokenizer, text, size, first=(), **options):
    alphabet = options.pop("alphabet", [])
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=list(first), initial_alphabet=alphabet, show_progress=False, **options)
    tokenizer.train_from_iterator(text, trainer)
    return json.loads(tokenizer.to_str())


def finish(state, added, **changes):
    """The trained tokenizer with model options changed and special tokens declared anew."""
    state["model"].update(changes)
    state["added_tokens"] = []
    tokenizer = Tokenizer.from_str(json.dumps(state))
    for token in added:
        (tokenizer.add_special_tokens if token.special else tokenizer.add_tokens)([token])
    return tokenizer


def bos(tokenizer, text):
    return processors.TemplateProcessing(single=f"{text} $A", pair=f"{text} $A {text} $B", special_tokens=[(text, tokenizer.token_to_id(text))])


def byte_fallback_bpe(text, normalizer, pre, strip=True, size=700, added=()):
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre or pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    first = ["<unk>", "<s>", "</s>"] + BYTES
    state = train_bpe(tokenizer, text, size, first, limit_alphabet=120)
    tokenizer = finish(state, [special("<unk>"), special("<s>"), special("</s>")] + list(added))
    tokenizer.pre_tokenizer = pre
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence(parts + ([decoders.Strip(" ", 1, 0)] if strip else []))
    tokenizer.post_processor = bos(tokenizer, "<s>")
    return tokenizer


def llama2(text):
    pre = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer = byte_fallback_bpe(text, pre, pre_tokenizers.Split("▁", "merged_with_next"))
    tokenizer.pre_tokenizer = None
    return tokenizer


def llama2_metaspace(text):
    train = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
    tokenizer = byte_fallback_bpe(text, None, train)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    return tokenizer


def gemma(text):
    added = [special("<start_of_turn>"), plain("\n\n"), plain("\n\n\n"), plain("  "), plain("   "), plain("<b>")]
    return byte_fallback_bpe(text, normalizers.Replace(" ", "▁"), pre_tokenizers.Split(" ", "merged_with_previous"), strip=False, added=added)


def phi3(text):
    pre = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    added = [special(name, rstrip=True) for name in ("<|user|>", "<|assistant|>", "<|end|>")] + [special("<|endoftext|>"), plain("</a>", rstrip=True)]
    tokenizer = byte_fallback_bpe(text, pre, pre_tokenizers.Split("▁", "merged_with_next"), added=added)
    tokenizer.pre_tokenizer = None
    return tokenizer


def byte_level(text, pre, normalizer=None, size=500, added=(), prefix=False, regex=True, **options):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizer
    level = pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=regex)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(pre + [level]) if pre else level
    state = train_bpe(tokenizer, text, size, alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer = finish(state, added, **options)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


def llama3(text):
    added = [special(name) for name in ("<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>")]
    split = pre_tokenizers.Split(Regex(LLAMA3), "isolated")
    tokenizer = byte_level(text, [split], added=added, regex=False, ignore_merges=True)
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), bos(tokenizer, "<|begin_of_text|>")])
    return tokenizer


def qwen2(text):
    added = [special("<|endoftext|>"), special("<|im_start|>"), special("<|im_end|>"), plain("<tool_call>"), plain("<think>")]
    return byte_level(text, [pre_tokenizers.Split(Regex(QWEN2), "isolated")], normalizers.NFC(), added=added, regex=False)


def neox(text):
    added = [special("<|endoftext|>"), special("<|padding|>")] + [plain(" " * n, normalized=True) for n in (8, 4, 3, 2)]
    return byte_level(text, [], normalizers.NFC(), added=added)


def opt(text):
    added = [special("<s>"), AddedToken("<pad>", special=True, normalized=True), AddedToken("</s>", special=True, normalized=True)]
    tokenizer = byte_level(text, [], added=added)
    tokenizer.post_processor = bos(tokenizer, "</s>")
    return tokenizer


def bloom(text):
    added = [special("<unk>"), special("<s>"), special("</s>"), special("<pad>")]
    return byte_level(text, [pre_tokenizers.Split(Regex(BLOOM), "isolated")], added=added, regex=False)


def roberta(text):
    added = [special("<s>"), special("<pad>"), special("</s>"), special("<unk>"), special("<mask>", lstrip=True), plain("wordy", single_word=True)]
    tokenizer = byte_level(text, [], added=added, prefix=True)
    ids = [("</s>", tokenizer.token_to_id("</s>")), ("<s>", tokenizer.token_to_id("<s>"))]
    tokenizer.post_processor = processors.RobertaProcessing(*ids, trim_offsets=True, add_prefix_space=True)
    return tokenizer


def deepseek(text):
    splits = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in DEEPSEEK]
    pre = splits + [pre_tokenizers.Digits(individual_digits=True)]
    return byte_level(text, pre, added=[special("<|begin_of_text|>"), plain("<think>", lstrip=True)], regex=False)


def bert(text, lower, **options):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lower, **options)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(text, trainers.WordPieceTrainer(vocab_size=600, special_tokens=names, show_progress=False))
    tokenizer.decoder = decoders.WordPiece()
    ids = [(name, tokenizer.token_to_id(name)) for name in ("[SEP]", "[CLS]")]
    if lower:
        tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ids)
    else:
        tokenizer.post_processor = processors.BertProcessing(*ids)
    return tokenizer


def unigram_state(vocab, unk, byte_fallback):
    return Tokenizer(models.Unigram(vocab, unk, byte_fallback))


def t5(vocab, charsmap):
    """vocab: pieces and scores of a SentencePiece model; charsmap: its character map."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)] + vocab + [(f"<extra_id_{i}>", 0.0) for i in range(99, 89, -1)]
    tokenizer = unigram_state(pieces, 2, False)
    tokenizer.normalizer = normalizers.Precompiled(charsmap)
    space = {"replacement": "▁", "prepend_scheme": "always"}
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(**space)])
    tokenizer.decoder = decoders.Metaspace(**space)
    tokenizer.add_special_tokens([special(name) for name in ("<pad>", "</s>", "<unk>", "<extra_id_99>", "<extra_id_90>")])
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    return tokenizer


def unigram_bytes(vocab):
    pieces = [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0)] + [(byte, -20.0) for byte in BYTES] + vocab
    tokenizer = unigram_state(pieces, 0, True)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(replacement="▁", prepend_scheme="always")])
    tokenizer.add_special_tokens([special("<unk>"), special("<s>"), special("</s>"), special("<mask>", lstrip=True)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    return tokenizer


def all_of(text, vocab, charsmap):
    """name -> tokenizer."""
    return {
        "llama2": llama2(text), "llama2_metaspace": llama2_metaspace(text), "llama3": llama3(text), "qwen2": qwen2(text), "gemma": gemma(text),
        "phi3": phi3(text), "neox": neox(text), "opt": opt(text), "bloom": bloom(text), "roberta": roberta(text), "deepseek": deepseek(text),
        "bert_uncased": bert(text, True), "bert_cased": bert(text, False, strip_accents=False, handle_chinese_chars=True),
        "t5": t5(vocab, charsmap), "unigram_bytes": unigram_bytes(vocab),
    }
