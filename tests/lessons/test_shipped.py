import pandas as pd

from tlcourse.lessons.__main__ import main
from tlcourse.lessons.nb00_start_here import tables
from tlcourse.lessons.shipped import shipped_tables
from tlcourse.notebook.results import LESSONS


def test_every_shipped_table_can_be_computed_again_and_is_small():
    files = {path.stem: path for path in LESSONS.glob("*/results/*.csv")}
    assert set(files) == set(shipped_tables())
    assert all(path.stat().st_size < 120_000 for path in files.values())


def test_the_command_writes_the_table(tmp_path, monkeypatch, capsys):
    rows = pd.DataFrame({"seed": [0, 1], "accuracy": [50, 60.1234]})
    asked = []
    monkeypatch.setitem(tables.TABLES, "dial", (lambda seeds: asked.append(seeds) or rows, 5))
    monkeypatch.setattr("sys.argv", ["lessons", "dial", "--out", str(tmp_path / "t.csv"), "--seeds", "2"])
    main()
    assert asked == [range(2)]
    assert (tmp_path / "t.csv").read_text() == "seed,accuracy\n0,50.000\n1,60.123\n"
    assert "wrote 2 rows" in capsys.readouterr().out
