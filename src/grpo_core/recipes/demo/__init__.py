"""The main job: a policy with a broken habit, repaired by verifiable rewards alone.

    python -m grpo_core.recipes.demo

A small Llama learned two-digit addition from a sloppy demonstrator (`_task`, `_supervise`): it
mostly guesses, and is right about 28 % of the time. Sixty steps of the recipe of Magistral, from
the library's own pieces (`_train`), teach it to think first. What came of it is measured on 2,000
problems that it never trained on and shown as a table and a picture (`_run`, `_report`);
`--control` trains a second policy beside it on shuffled rewards, which forgets (`_control`).

Nothing is imported here: the extra `demo` is needed to run it, not to import it.
"""
