"""T5 and the encoders: the second part of model_table.py."""

from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    DistilBertModel,
    RobertaConfig,
    RobertaForSequenceClassification,
    T5Config,
    T5ForConditionalGeneration,
)

from model_shapes import LABELS, BERT, T5, entry


def encoder_entries():
    def t5(name, what, **options):
        more = options.pop("more", {})
        return entry(name, "t5", T5ForConditionalGeneration, T5Config(**{**T5, **more}), what, **options)

    def bert(name, what, model=BertForSequenceClassification, **options):
        more = options.pop("more", {})
        return entry(name, "bert", model, BertConfig(**{**BERT, **more}), what, long=40, **options)

    distil = dict(
        vocab_size=67,
        dim=24,
        hidden_dim=37,
        n_layers=2,
        n_heads=3,
        max_position_embeddings=40,
        id2label=LABELS,
        label2id={v: k for k, v in LABELS.items()},
    )
    roberta = {
        **BERT,
        "max_position_embeddings": 42,
        "type_vocab_size": 1,
        "pad_token_id": 1,
        "bos_token_id": 0,
        "eos_token_id": 2,
    }
    return [
        t5("t5", "T5 1.0: relu, tied, logits scaled by d_model^-0.5"),
        t5(
            "flan_t5",
            "T5 1.1: gated-gelu, own lm_head, tie_word_embeddings false: no scaling",
            more=dict(feed_forward_proj="gated-gelu", tie_word_embeddings=False),
            edit="own_head",
        ),
        t5(
            "flan_t5_old",
            "the same in the old layout, with n_positions, task_specific_params and the embedding stored three times",
            more=dict(feed_forward_proj="gated-gelu", tie_word_embeddings=False),
            same_as="flan_t5",
            edit="copies",
            layout="old",
        ),
        t5(
            "t5_gated_silu",
            "gated-silu, tied, num_decoder_layers null (as num_layers)",
            more=dict(feed_forward_proj="gated-silu", num_decoder_layers=None),
            drop=["num_decoder_layers", "dense_act_fn", "is_gated_act", "scale_decoder_outputs"],
        ),
        t5(
            "t5_untied_scaled",
            "no tie_word_embeddings key, lm_head of its own in the file: used, and scaled",
            edit="own_head",
            drop=["tie_word_embeddings", "scale_decoder_outputs"],
        ),
        t5(
            "t5_unscaled_tied",
            "tie_word_embeddings false and no lm_head in the file: the shared embedding, unscaled",
            more=dict(tie_word_embeddings=False),
            minimal=True,
            layout="old",
        ),
        bert("bert", "classification, 3 labels", layout="old"),
        bert("bert_gelu_new", "gelu_new, other dropout keys", more=dict(hidden_act="gelu_new", classifier_dropout=0.3)),
        bert(
            "bert_sentence",
            "BertModel without pooler: a sentence encoder; names without `bert.`, embeddings.position_ids in the file",
            model=BertModel,
            edit="no_pooler",
            arguments={"add_pooling_layer": False},
            layout="old",
        ),
        bert(
            "bert_pooled",
            "BertModel with pooler, names without `bert.`, relu",
            model=BertModel,
            more=dict(hidden_act="relu"),
        ),
        bert(
            "bert_old_names",
            "classification with norms named gamma and beta, as the first BERT checkpoints",
            minimal=True,
            same_as="bert",
            edit="gamma",
        ),
        entry(
            "roberta",
            "roberta",
            RobertaForSequenceClassification,
            RobertaConfig(**roberta),
            "positions from padding_idx + 1, classification head of two layers",
            minimal=True,
            layout="old",
            long=40,
        ),
        entry(
            "distilbert",
            "distilbert",
            DistilBertForSequenceClassification,
            DistilBertConfig(**distil),
            "classification, pre_classifier with relu",
            layout="old",
            long=40,
        ),
        entry(
            "distilbert_sentence",
            "distilbert",
            DistilBertModel,
            DistilBertConfig(**distil),
            "DistilBertModel, names without prefix",
            minimal=True,
            long=40,
        ),
    ]
