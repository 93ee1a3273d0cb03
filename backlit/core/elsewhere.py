"""What people who come from elsewhere type, and what it is called here: one row a word.

`did_you_mean` looks here first. `beside` is a name that has to be among the choices for the row to apply: `alpha` is one
thing for a LeakyReLU and another for an optimizer.
"""

from __future__ import annotations

from collections.abc import Collection

_SHAPE = "leave it out, `fit` finds the shape; or bl.Input((…)) as the first layer"
_RECURRENT = "there are no recurrent layers: Conv1D over the time steps, or the last values as columns of X, see what came before"
_ATTENTION = "there are no attention layers: a layer of your own is a function of nodes (docs/your-own.md)"
_ONE_PROCESS = "leave it out: batches are made in this process"
_PICTURES = "bl.plot.network(model) draws it, model.summary() prints it, model.trace(x) opens it"
_WHOLE_FILE = (
    "model.save('model.backlit') writes all of it, bl.load_model reads it; the weights alone: model.get_weights()"
)
_RATE = "optimizer=bl.optimizers.Adam(learning_rate=…)"
_NO_SWITCH = (
    "leave it out: `fit` trains, `predict` and `evaluate` do not; model(x, training=True) is the training's output"
)
_DATA_FRAMES = "NumPy arrays, data frames, or a function that yields (X, y): all of them go into `fit`"

# word: (beside, what to type)
ELSEWHERE: dict[str, tuple[tuple[str, str], ...]] = {
    # arguments of Keras 1 and 2
    "lr": (("learning_rate", "learning_rate=…"), ("loss_weights", _RATE)),
    "decay": (
        ("learning_rate", "learning_rate=bl.optimizers.schedules.InverseTimeDecay(…); of weights: weight_decay=…"),
    ),
    "schedule_decay": (("learning_rate", "learning_rate=bl.optimizers.schedules.InverseTimeDecay(…)"),),
    "input_shape": (("name", _SHAPE),),
    "input_dim": (("units", _SHAPE), ("filters", _SHAPE)),
    "batch_input_shape": (("name", _SHAPE),),
    "batch_size": (("kernel_initializer", "batch_size=… in `fit`"), ("metrics", "batch_size=… in `fit`")),
    "epochs": (("metrics", "epochs=… in `fit`"),),
    "output_dim": (("units", "units=…"),),
    "init": (("kernel_initializer", "kernel_initializer=…"),),
    "W_regularizer": (("kernel_regularizer", "kernel_regularizer=…"),),
    "b_regularizer": (("bias_regularizer", "bias_regularizer=…"),),
    "nb_filter": (("filters", "filters=…"),),
    "nb_epoch": (("epochs", "epochs=…"),),
    "border_mode": (("padding", "padding=…"),),
    "subsample": (("strides", "strides=…"),),
    "p": (("rate", "rate=…, the share that is dropped"),),
    "alpha": (("negative_slope", "negative_slope=…"), ("beta_1", "learning_rate=…")),
    "workers": (("epochs", _ONE_PROCESS), ("batch_size", _ONE_PROCESS)),
    "max_queue_size": (("epochs", _ONE_PROCESS), ("batch_size", _ONE_PROCESS)),
    "use_multiprocessing": (("epochs", _ONE_PROCESS), ("batch_size", _ONE_PROCESS)),
    "learning_rate": (("loss_weights", _RATE),),
    "validation_set": (("validation_data", "validation_data=(X, y)"),),
    # arguments of PyTorch and scikit-learn
    "betas": (("beta_1", "beta_1=…, beta_2=…"),),
    "eps": (("epsilon", "epsilon=…"),),
    "in_features": (("units", _SHAPE),),
    "out_features": (("units", "units=…"),),
    "bias": (("use_bias", "use_bias=…"),),
    "in_channels": (("filters", _SHAPE),),
    "out_channels": (("filters", "filters=…"),),
    "dilation": (("dilation_rate", "dilation_rate=…"),),
    "num_embeddings": (("input_dim", "input_dim=…"),),
    "embedding_dim": (("output_dim", "output_dim=…"),),
    "max_iter": (("epochs", "epochs=…"),),
    "optimiser": (("optimizer", "optimizer=…"),),
    "device": (("", "leave it out: bl.compile and model.compile have engine=…"),),
    # layers that are not here
    **dict.fromkeys(
        ("LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "TimeDistributed", "ConvLSTM2D"), (("Dense", _RECURRENT),)
    ),
    **dict.fromkeys(("MultiHeadAttention", "Attention", "AdditiveAttention", "Transformer"), (("Dense", _ATTENTION),)),
    **dict.fromkeys(
        ("Conv3D", "MaxPooling3D", "AveragePooling3D"),
        (("Dense", "convolutions are of one or two dimensions here: Conv1D, Conv2D"),),
    ),
    "SeparableConv2D": (("Dense", "Conv2D(k, …, groups=k), then Conv2D(filters, 1)"),),
    "DepthwiseConv2D": (("Dense", "Conv2D(k, …, groups=k), where x has k channels"),),
    "Linear": (("Dense", "Dense(units): the size of its input is found"),),
    "Convolution2D": (("Dense", "Conv2D"),),
    "BatchNorm1d": (("Dense", "BatchNormalization()"),),
    "BatchNorm2d": (("Dense", "BatchNormalization()"),),
    # rooms and names of Keras, PyTorch and scikit-learn
    "keras": (("Sequential", "import backlit as bl, and bl.Sequential: there is no room between"),),
    "models": (("Sequential", "bl.Sequential, bl.Model, bl.load_model"),),
    "model_from_json": (("Sequential", _WHOLE_FILE), ("load_model", _WHOLE_FILE)),
    "save_model": (("Sequential", "model.save('model.backlit')"),),
    "data": (("Sequential", _DATA_FRAMES),),
    "Dataset": (("Sequential", _DATA_FRAMES),),
    "DataLoader": (("Sequential", _DATA_FRAMES),),
    "Tensor": (("Sequential", "NumPy arrays are the values, bl.input and bl.variable make nodes"),),
    "tensor": (("Sequential", "NumPy arrays are the values, bl.constant makes a node"),),
    "Variable": (("Sequential", "bl.variable(value)"),),
    "Module": (("Sequential", "bl.layers.Layer, bl.Model"), ("relu", "bl.layers.Layer, bl.Model")),
    "GradientTape": (("Sequential", "bl.grad(cost, leaves): the graph is there already, nothing is recorded"),),
    "MLPClassifier": (("Sequential", "bl.sklearn.Classifier"),),
    "MLPRegressor": (("Sequential", "bl.sklearn.Regressor"),),
    "Classifier": (("Sequential", "bl.sklearn.Classifier"),),
    "Regressor": (("Sequential", "bl.sklearn.Regressor"),),
    "plot_model": (("to_categorical", _PICTURES), ("Sequential", _PICTURES)),
    "model_to_dot": (("to_categorical", _PICTURES),),
    # methods of models
    "to_json": (("fit", _WHOLE_FILE),),
    "to_yaml": (("fit", _WHOLE_FILE),),
    "state_dict": (("fit", _WHOLE_FILE),),
    "load_state_dict": (("fit", _WHOLE_FILE),),
    "predict_proba": (("fit", "model.predict_probabilities(x)"),),
    "fit_generator": (("fit", "model.fit takes a function that yields batches"),),
    "evaluate_generator": (("fit", "model.evaluate takes a function that yields batches"),),
    "predict_generator": (("fit", "model.predict takes a function that yields batches"),),
    "partial_fit": (("train_on_batch", "model.train_on_batch(x, y); a second `fit` goes on, too"),),
    "score": (("evaluate", "model.evaluate(x, y)"),),
    "parameters": (("trainable_variables", "model.trainable_variables, model.summary()"),),
    "backward": (("fit", "model.fit, or by hand bl.grad(cost, model.trainable_variables)"),),
    "zero_grad": (("fit", "leave it out: gradients are nodes, nothing adds up"),),
    "train": (("fit", _NO_SWITCH),),
    "eval": (("fit", _NO_SWITCH),),
    "to": (("fit", "leave it out: model.compile(…, engine=…) says where it runs"),),
    "cuda": (("fit", "leave it out: model.compile(…, engine=…) says where it runs"),),
    "cpu": (("fit", "leave it out: values are NumPy arrays"),),
}


def named_elsewhere(word: str, choices: Collection[str]) -> str:
    """What to type instead of a word of another library, or an empty string where it is none.

    >>> named_elsewhere("lr", ["learning_rate", "momentum"])
    'learning_rate=…'
    """
    return next((fix for beside, fix in ELSEWHERE.get(word, ()) if not beside or beside in choices), "")
