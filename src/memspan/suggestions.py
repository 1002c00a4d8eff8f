"""Suggestions for unknown names, by spelling and by meaning.

A table lists the words that people type for the names of memspan. A suggestion is always a name that is valid in
the same place. So one table serves options, fields, arguments, commands, cells, tasks and losses.
"""

import difflib
import re
from collections.abc import Iterable

MEANT = {
    # Names of the module
    "Network": "Model Net",
    "Learner": "Trainer",
    "Batches": "DataLoader Dataset",
    "Attribution": "attribute shares horizon credit",
    "GradientFlow": "flow gradients",
    "gradient_check": "gradcheck check_gradient grad_check",
    "plot_attribution": "draw_attribution",
    "plot_flow": "draw_flow",
    "run_study": "run train experiment",
    "load_study": "load open_study read_study",
    "save_figures": "plot plot_study draw figures",
    "ClipByNorm": "clip clip_grad_norm clip_grad_norm_ clipping",
    # Fields, options and arguments
    "learning_rate": "lr eta alpha rate step_size stepsize",
    "lr": "learning_rate eta alpha rate step_size stepsize",
    "updates": "epochs steps iterations iters n_steps n_epochs num_epochs max_steps max_iter batches",
    "lengths": "length seq_len seq_length sequence_length time_steps timesteps T lags delays horizon",
    "length": "lengths seq_len seq_length sequence_length time_steps timesteps T lag delay horizon steps",
    "repetitions": "repeats reps runs trials n_runs n_seeds n_trials replicates networks",
    "batch": "batch_size bs minibatch n_batch samples sequences",
    "hidden": "hidden_size hidden_units units n_hidden neurons width size H dim hidden_dim num_units",
    "hidden_size": "hidden hidden_units units n_hidden neurons width size H dim hidden_dim num_units",
    "input_size": "inputs features input_dim n_inputs n_in in_features F",
    "output_size": "outputs output_dim n_outputs n_out out_features classes O",
    "optimizer": "optimiser optim opt algorithm rule solver",
    "clip": "grad_clip gradient_clip clipnorm clip_norm max_norm max_grad_norm clipping",
    "truncate": "truncation tbptt bptt window k1 k2 bptt_steps truncated",
    "limit": "max_norm clip threshold norm value",
    "cell": "activation nonlinearity cells model network net architecture rnn_type cell_type kind layer",
    "model": "network net rnn",
    "models": "networks nets",
    "cells": "models networks architectures",
    "task": "problem dataset data tasks benchmark",
    "tasks": "problems datasets",
    "task_parameters": "parameters params task_params",
    "init": "initializer initialiser initialization initialisation weight_init start kernel_initializer",
    "gain": "scale weight_scale sigma std",
    "recurrent_gain": "spectral_radius rho r_gain recurrent_scale",
    "threshold": "target_accuracy criterion solved_at accuracy",
    "tolerance": "tol atol eps margin",
    "dtype": "precision type float",
    "rng": "seed random_state generator random_seed",
    "seed": "rng random_state random_seed seeds",
    "evaluate_every": "eval_every eval_freq eval_interval eval validate_every log_every",
    "final_batches": "eval_batches test_batches evaluation_batches",
    "evaluation_samples": "eval_samples test_samples test_size n_test",
    "keep_weights": "save_weights save_model weights checkpoint store_weights",
    "output_steps": "read_out readout return_sequences",
    "activation": "nonlinearity act activation_function",
    "forget_bias": "bias forget_gate_bias f_bias",
    "momentum": "mu",
    "decay": "rho alpha weight_decay",
    "beta1": "betas b1 beta_1",
    "beta2": "b2 beta_2",
    "epsilon": "eps",
    "evaluation": "validation val test held_out eval_data",
    "workers": "jobs n_jobs processes procs threads cores num_workers nproc cpus parallel",
    "output": "out outdir out_dir output_dir folder dir directory save_to path save file",
    "store": "db database sqlite file storage results",
    "scheduler": "dask cluster address",
    "progress": "verbose verbosity quiet silent bar",
    "figures": "plots plot draw pictures",
    "dry_run": "plan estimate what_if",
    "retry_failed": "retry rerun",
    "name": "study title label",
    "yes": "force y",
    "plot": "draw figure show picture",
    "samples": "n examples count",
    "rounds": "repeats repetitions n iterations",
    # Commands
    "study run": "run train fit start experiment learn",
    "study resume": "resume continue restart",
    "study status": "status state",
    "study show": "show plot results result draw figures report",
    "study schema": "schema",
    "store ls": "ls list studies db database",
    "store rm": "rm remove delete del",
    "store export": "export csv dump save",
    "store doctor": "doctor repair fix check_store rescue",
    "run": "train fit start experiment learn",
    "resume": "continue restart",
    "show": "plot results draw cat view",
    "status": "state",
    "ls": "list studies",
    "rm": "remove delete del",
    "export": "csv dump save",
    "doctor": "repair fix check rescue",
    "gradcheck": "gradient gradients check grad_check check_gradient gradient_check verify",
    "flow": "gradient_flow vanishing norms lag",
    "bench": "benchmark benchmarks speed time timing",
    "reproduce": "replicate reproduction reproductions paper papers published",
    "--help": "help man usage",
    "--version": "version",
    # Cells
    "rnn": "elman vanilla simple simple_rnn simplernn srn tanh rnn_tanh",
    "rnn-relu": "irnn relu",
    "rnn-linear": "linear",
    "leaky": "esn leaky_rnn leaky_esn ctrnn",
    "lstm-peephole": "peephole peepholes",
    "gru-before": "gru_v1 gru_cho",
    "mingru": "min_gru",
    "lru": "diagonal ssm s4 s5 linear_recurrent_unit",
    "slstm": "xlstm",
    # Tasks
    "recall": "memory memory_task remember first",
    "adding/any": "add addition sum adding_problem add_problem adding",
    "copying/tcn": "copy copy_memory copy_task copying_memory copying",
    "order/hs97-2": "temporal_order order",
    "latch/3a": "latching two_sequence latch",
    "multiplication/hs97": "multiply mul product multiplication",
    "delayed-xor": "xor temporal_xor",
    "parity": "bit_parity count_mod_2",
    "selective-copying": "selective_copy induction",
    "memory-capacity": "mc capacity jaeger",
    "square-wave/km2024": "square_wave delayed_wave pulse",
    # Losses, optimisers, initializers, dtypes and engines
    "MSELoss": "mse l2 mean_squared_error squared_error",
    "SoftmaxCrossEntropy": "cross_entropy crossentropy ce nll cross_entropy_loss categorical_crossentropy",
    "SigmoidCrossEntropy": "bce binary_cross_entropy logistic bce_loss bcewithlogitsloss binary_crossentropy",
    "adam": "adamw nadam adamax",
    "sgd": "gd gradient_descent",
    "glorot": "xavier xavier_uniform glorot_uniform",
    "lecun": "lecun_uniform",
    "orthogonal": "ortho unitary",
    "identity": "eye irnn",
    "float64": "double f64",
    "float32": "single f32 float",
    "compiled": "numba fast jit",
    "readable": "numpy python slow",
    "torch": "pytorch",
}
"""The words that people type in place of each name of memspan."""


def nearest(name: object, known: Iterable[str]) -> str | None:
    """Return the known name that the user probably meant, or None.

    A name that differs only in case and punctuation comes first, then a synonym, then a similar spelling.
    """
    by_plain: dict[str, list[str]] = {}
    for one in known:
        by_plain.setdefault(_plain(one), []).append(one)
    word = _plain(str(name))
    found = (
        [word] * (word in by_plain)
        or [plain for plain in SYNONYMS.get(word, ()) if plain in by_plain]
        or difflib.get_close_matches(word, by_plain, n=1)
    )
    if not found or not word:
        return None
    same = by_plain[found[0]]
    return next((one for one in same if one[:1].isupper() == str(name)[:1].isupper()), same[0])


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower())


def _synonyms() -> dict[str, list[str]]:
    """Return the names that each word may mean, in the order of the table."""
    found: dict[str, list[str]] = {}
    for meant, words in MEANT.items():
        for word in words.split():
            found.setdefault(_plain(word), []).append(_plain(meant))
    return found


SYNONYMS = _synonyms()
