"""`backlit check` on scripts as people write them: packages, threads, processes, loops over many models, single steps, and
models that are used but never trained. Whatever the script does, it does the same as alone."""

import gc
import json
import os
import signal
import subprocess
import sys
import textwrap
import weakref

import pytest

import backlit as bl
from backlit.doctor.checks_script import as_drawn
from backlit.engines import objects
from tests.command import ENVIRONMENT, backlit, outside, strictly

HEAD = """\
import numpy as np
import backlit as bl
rng = np.random.default_rng(0)
X = rng.normal(size=(120, 4))
y = (X[:, 0] > 0).astype(int)
def made(last="sigmoid", rate=0.03):
    model = bl.Sequential([bl.Input((4,)), bl.layers.Dense(8, activation="relu"), bl.layers.Dense(1, activation=last)])
    model.compile(bl.optimizers.Adam(rate), "binary_crossentropy")
    return model
"""
NEVER = "warning: this model was never trained"


@pytest.fixture
def script(tmp_path):
    def written(text, name="train.py", head=HEAD):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(head + textwrap.dedent(text))
        return path

    return written


def lines_of(path, *arguments):
    """What is reported of each line of the script: {its number: (trainings, [names of checks])}."""
    told = strictly(backlit("check", path, "--json", *arguments)[1])
    number = [int(one["where"].split(":")[1].split()[0]) for one in told["trainings"]]
    found = [(one["times"], [each["check"] for each in one["findings"]]) for one in told["trainings"]]
    return dict(zip(number, found, strict=True))


# ---------------------------------------------------------------------- the script does what it does alone
WORLD = """
    import os, random, sys, warnings
    bl.random.set_seed(3), random.seed(1), np.random.seed(2)
    warnings.warn("careful")
    untrained = made()
    print(untrained.predict(X).sum())
    model = made()
    model.fit(X, y, epochs=3, verbose=0, doctor="off")
    for k in range(5):
        model.train_on_batch(X[k : k + 20], y[k : k + 20])
    print([each.sum().item() for each in (*untrained.get_weights(), *model.get_weights())], random.random(), np.random.rand())
    print(sys.argv, sys.path[0], os.getcwd(), sorted(globals()))
    print(__name__, __file__, __doc__, __spec__, __package__, sys.modules["__main__"].X is X)
    sys.exit("enough")
"""


@pytest.mark.slow
def test_files_arguments_random_numbers_warnings_and_end_are_those_of_the_script_alone(script):
    path = script(WORLD)
    alone = subprocess.run(
        [sys.executable, str(path), "a", "--b"], capture_output=True, text=True, env=ENVIRONMENT, check=False
    )
    code, out, err = outside("check", path, "--", "a", "--b")
    assert alone.returncode == code == 1
    assert out.startswith(alone.stdout) and out[len(alone.stdout) :].startswith("\n─── backlit check ")
    assert err == alone.stderr and "train.py:13: UserWarning: careful" in err
    assert out.endswith("The script ended with exit code 1.\n")


def test_what_is_written_without_an_end_of_line_does_not_run_into_the_report(script):
    out = backlit("check", script("print('done', end='')"))[1]
    assert out.startswith("done\n─── backlit check ")


def test_with_json_not_even_another_process_writes_into_the_object(script):
    code, out, err = outside("check", script("import subprocess\nsubprocess.run(['echo', 'from elsewhere'])"), "--json")
    assert code == 0 and json.loads(out)["trainings"] == [] and err == "from elsewhere\n"


@pytest.mark.slow
def test_an_interrupted_script_is_reported_as_far_as_it_came(script, tmp_path):
    path = script("""
        class Tell(bl.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                if epoch == 3:
                    print("begun", flush=True)
        made("softmax").fit(X, y, epochs=10**7, verbose=0, callbacks=[Tell()])
    """)
    hears = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from backlit.cli import main; main()"
    )
    command = [sys.executable, "-c", hears, "check", str(path)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env=ENVIRONMENT, **pipes) as running:
        assert running.stdout.readline() == "begun\n"
        os.kill(running.pid, signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "error: dense_1: a softmax over 1 unit" in out and out.endswith("The script was interrupted.\n")
    head = f'Traceback (most recent call last):\n  File "{path}", line 15, in <module>\n    made("softmax").fit('
    assert (
        err.startswith(head)
        and err.endswith("KeyboardInterrupt\n")
        and os.path.dirname(bl.__file__) + os.sep not in err
    )


def test_a_file_that_is_no_python_is_told_as_python_tells_it(script):
    path = script("model = bl.Sequential([\n")
    code, out, err = backlit("check", path)
    assert code == 1 and err.startswith(f'  File "{path}", line 10\n') and "SyntaxError: '[' was never closed" in err
    assert "No training was seen" in out


def test_what_the_library_refuses_is_told_without_its_own_lines(script):
    path = script("model = made()\nmodel.fit(X, y, epochs=0)\n")
    code, out, err = backlit("check", path)
    assert (
        code == 3 and "train.py:11  model.fit(X, y, epochs=0)\nerror: fit: epochs must be a whole number from 1" in out
    )
    assert err.count("File ") == 1 and "ValueRangeError: fit: epochs must be" in err


# ---------------------------------------------------------------------- how it is called
def test_a_module_of_a_package_runs_as_python_runs_it(script, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script("", "parts/__init__.py", "")
    script("", "parts/net.py")
    script(
        "from .net import X, y, made\nimport sys\nprint(sys.argv[1:])\nmade().fit(X, y, epochs=30, verbose=0)",
        "parts/train.py",
        "",
    )
    code, out, err = backlit("check", "-m", "parts.train", "--", "--fast", "3")
    assert (code, err) == (0, "") and out.startswith("['--fast', '3']\n") and "train.py:4  made().fit" in out
    code, out, err = outside("check", "parts/train.py")
    assert code == 1 and err.endswith("it is part of a package: backlit check -m parts.train\n")
    code, out, err = backlit("check", "-m", "parts.nothing")
    assert code == 1 and "No module named" in err and "File" not in err


def test_a_folder_with_a_main_is_a_script(script, tmp_path):
    script("made().fit(X, y, epochs=30, verbose=0)", "tool/__main__.py")
    code, out, _ = backlit("check", tmp_path / "tool")
    assert code == 0 and "__main__.py:10  made().fit(X, y, epochs=30, verbose=0)\n" in out


def test_options_of_the_script_stand_behind_two_dashes(script):
    code, _, err = backlit("check", script(""), "--epochs", "3")
    assert code == 2 and "No such option" in err and "backlit check train.py -- --epochs 3" in err
    assert "stand behind" not in backlit("check", "iris", "--epochs")[2]
    assert "Missing argument" in backlit("check")[2]


# ---------------------------------------------------------------------- many trainings
def test_trainings_of_a_loop_are_one_report_that_says_how_many_have_the_fault(script):
    path = script("""
        for last, scale in (("sigmoid", 1), ("softmax", 1), ("sigmoid", 1), ("sigmoid", 1e4)):
            made(last).fit(scale * X, y, epochs=20, verbose=0)
        for scale in (1e4, 1e4):
            made().fit(scale * X, y, epochs=20, verbose=0)
    """)
    code, out, _ = backlit("check", path)
    assert code == 3 and "train.py:12  made(last).fit(scale * X, y, epochs=20, verbose=0)   (4 trainings)\n" in out
    first, second = out.split("train.py:14")
    assert "a softmax over 1 unit" in first and first.count("  seen   in 1 of 4 trainings") == 2
    assert "features of X are not scaled" in second and "(in 2 of 2 trainings, as above)" in second
    assert "  fix " not in second
    assert out.endswith("1 error, 1 warning.\n")


@pytest.mark.slow
def test_a_pipeline_of_another_package_is_reported_by_the_line_of_the_script(script):
    path = script("""
        from sklearn.model_selection import cross_val_score
        from sklearn.pipeline import make_pipeline
        net = bl.sklearn.Classifier((5,), max_iter=5, random_state=0, scale=False)
        cross_val_score(make_pipeline(net), 1e4 * X, y, cv=3)
    """)
    assert lines_of(path)[14] == (3, ["unscaled_inputs"])


@pytest.mark.slow
def test_trainings_in_threads_and_in_forked_processes_are_heard(script):
    path = script("""
        import multiprocessing
        from concurrent.futures import ThreadPoolExecutor

        def job(last):
            made(last).fit(X, y, epochs=20, verbose=0)

        with ThreadPoolExecutor(1) as pool:
            list(pool.map(job, ["softmax", "sigmoid"]))
        with multiprocessing.get_context("fork").Pool(1) as pool:
            pool.map(job, ["softmax", "softmax"])
    """)
    code, out, err = outside("check", path)
    assert (code, err) == (3, "")
    assert "train.py:15  made(last).fit(X, y, epochs=20, verbose=0)   (4 trainings)\nerror: dense_1: a softmax" in out
    assert "  seen   in 3 of 4 trainings" in out


def test_threads_that_nobody_waits_for_are_waited_for(script):
    path = script("""
        import threading, time
        def job():
            time.sleep(0.3)
            made().fit(X, y, epochs=30, verbose=0)
        threading.Thread(target=job).start()
    """)
    assert lines_of(path) == {14: (1, [])}


def test_a_model_that_makes_single_steps_is_a_training(script):
    path = script("""
        model, good = made("softmax"), made()
        for k in range(0, 120, 30):
            model.train_on_batch(X[k : k + 30], y[k : k + 30])
            good.train_on_batch(X[k : k + 30], y[k : k + 30])
        model.evaluate(X, y, verbose=0)
    """)
    assert lines_of(path) == {13: (1, ["constant_output"]), 14: (1, [])}


def test_a_refusal_that_the_script_catches_is_told(script):
    path = script("""
        for labels in (y, y + 1):
            try:
                made().fit(X, labels, epochs=30, verbose=0)
            except ValueError:
                print("next")
    """)
    code, out, _ = backlit("check", path)
    assert code == 3 and out.startswith("next\n")
    assert "(2 trainings)\nerror: " in out and "  seen   in 1 of 2 trainings" in out


def test_what_is_refused_elsewhere_is_told_of_its_own_line(script):
    path = script("made().fit(X, y, epochs=30, verbose=0)\nbl.load_model('nowhere.backlit')")
    assert lines_of(path) == {10: (1, []), 11: (0, ["refused"])}


def test_a_step_that_is_refused_belongs_to_the_steps_of_its_model(script):
    path = script("""
        model = made()
        for labels in (y, y[:7], y[:8], y):
            try:
                model.train_on_batch(X, labels)
            except ValueError:
                pass
    """)
    ((times, found),) = lines_of(path).values()
    assert times == 1 and len(found) == 1


def test_what_led_to_a_step_that_is_not_finite_comes_before_it(script):
    path = script("""
        model = bl.Sequential([bl.Input((4,)), bl.layers.Dense(8, "relu"), bl.layers.Dense(1)])
        model.compile(bl.optimizers.SGD(1.0), "mse")
        model.fit(X, 1000 * X.sum(axis=1), epochs=20, verbose=0)
    """)
    code, out, _ = backlit("check", path)
    assert code == 3 and 0 < out.index("warning: ") < out.index("error: step ")


# ---------------------------------------------------------------------- a model that is never trained
@pytest.mark.parametrize("call", ["model.evaluate(X, y, verbose=0)", "model.predict(X)", "model.predict_classes(X)"])
def test_a_model_that_is_used_but_never_trained_is_told_with_the_line(script, call):
    path = script(f"made().fit(X, y, epochs=30, verbose=0)\nmodel = made()\nfor k in range(2):\n    {call}\n")
    code, out, _ = backlit("check", path)
    assert code == 0 and f"train.py:13  {call}\n{NEVER}: its 49 weights are the random ones" in out
    assert "No training was seen" not in out and out.endswith("No errors, 1 warning.\n")


def test_without_any_training_the_report_says_so_as_well(script):
    out = backlit("check", script("print(made().evaluate(X, y, verbose=0) > 0)"))[1]
    assert NEVER in out and "No training was seen" in out


def test_models_that_are_never_trained_are_counted_by_their_line(script):
    out = backlit("check", script("for k in range(3):\n    made().predict(X)"))[1]
    assert "train.py:11  made().predict(X)   (3 models)\nwarning: " in out and out.count(NEVER) == 1


def test_a_fit_whose_epochs_are_over_before_it_begins_trains_nothing(script, capsys):
    path = script(
        "model = made()\nmodel.fit(X, y, epochs=5, initial_epoch=5, verbose=0)\nmodel.evaluate(X, y, verbose=0)"
    )
    assert lines_of(path) == {11: (1, ["never_trained"])}
    again = script(
        "model = made()\nfor k in (20, 20):\n    model.fit(X, y, epochs=k, initial_epoch=model.epochs_done, verbose=0)"
    )
    assert lines_of(again) == {12: (2, [])}


TRAINED = {
    "a first score": "model.fit(X, y, epochs=30, verbose=0)",
    "single steps": "model.train_on_batch(X, y)",
    "weights of another": "model.set_weights(other.get_weights())",
    "a loop by hand": "for p in model.trainable_variables: p.assign(p.value + 0.1)",
    "a model around it": """
whole = bl.Sequential([model])
whole.compile("adam", "binary_crossentropy")
whole.fit(X, y, epochs=30, verbose=0)""",
}


@pytest.mark.parametrize("later", TRAINED.values(), ids=TRAINED)
@pytest.mark.parametrize("before", [True, False], ids=["used before", "used after"])
def test_a_model_that_is_trained_in_whatever_way_is_not(script, later, before):
    used = "model.evaluate(X, y, verbose=0)\n"
    program = f"other = made()\nother.fit(X, y, epochs=30, verbose=0)\nmodel = made()\n{used if before else ''}{later}\n{used}"
    inside = "def main():\n" + textwrap.indent(program, "    ") + "main()\n"  # the models are gone at the end
    for text in (program, inside):
        assert NEVER not in backlit("check", script(text))[1]


def test_loaded_uncompiled_and_chosen_weights_are_no_fault(script, tmp_path):
    path = script(f"""
        model = made()
        model.fit(X, y, epochs=30, verbose=0)
        model.save(r"{tmp_path / "a.backlit"}"), model.save_weights(r"{tmp_path / "a.npz"}")
        bl.load_model(r"{tmp_path / "a.backlit"}").evaluate(X, y, verbose=0)
        again = made()
        again.load_weights(r"{tmp_path / "a.npz"}")
        again.predict(X)
        random = bl.Sequential([bl.Input((4,)), bl.layers.Dense(20, "relu")])
        random.predict(X)                                   # features that nobody means to train
        given = bl.Sequential([bl.Input((4,)), bl.layers.Dense(1, "sigmoid", kernel_initializer="ones")])
        given.compile("sgd", "binary_crossentropy")
        given.evaluate(X, y, verbose=0)
    """)
    assert NEVER not in backlit("check", path)[1]


def test_weights_are_as_drawn_until_one_number_is_another():
    model = bl.Sequential([bl.Input((3,)), bl.layers.Dense(4, "relu"), bl.layers.Dense(2)])
    assert as_drawn(model)
    model.layers[1].bias.assign([0.0, 1e-6])
    assert not as_drawn(model)


# ---------------------------------------------------------------------- afterwards
def test_code_that_a_thread_runs_is_never_let_go():
    made = objects.machine.__wrapped__()  # what two threads that begin at once may both do
    kept = weakref.ref(made)
    del made
    gc.collect()
    assert kept() is not None


def test_nothing_of_the_listening_stays(script):
    before = {name: vars(bl.Model)[name] for name in ("fit", "train_on_batch", "evaluate", "predict")}
    kept = sys.argv, list(sys.path), sys.modules["__main__"]
    backlit("check", script("made().fit(X, y[:3], verbose=0)"))
    assert all(vars(bl.Model)[name] is function for name, function in before.items())
    assert (sys.argv, sys.path, sys.modules["__main__"]) == kept
