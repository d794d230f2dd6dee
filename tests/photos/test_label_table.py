"""Labels from a table: as people and competitions save them; where one can be read in two ways, it asks."""

import numpy as np
import pytest
from pictures import picture

from tlcourse.photos.findings import FolderError
from tlcourse.photos.scan import scan

ROWS = [("0.png", "cat"), ("1.png", "cat"), ("2.png", "dog"), ("3.png", "dog"), ("4.png", "dog"), ("5.png", "cat")]


@pytest.fixture
def flat(tmp_path):
    """Six pictures without subfolders."""
    (tmp_path / "pictures").mkdir()
    for i in range(6):
        picture(i).save(tmp_path / "pictures" / f"{i}.png")
    return tmp_path / "pictures"


def read(flat, text, encoding="utf-8", **options):
    table = flat / "labels.csv"  # it may lie in the folder
    table.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return scan(flat, "labels.csv", **options)


def answers(result):
    return [(name, result.classes[c]) for name, c in zip(result.files, result.labels, strict=True)]


@pytest.mark.parametrize("header", [("file", "label"), ("Image", "Species"), ("what", "ever"), None])
@pytest.mark.parametrize(("separator", "encoding"), [(",", "utf-8"), (";", "utf-8-sig"), ("\t", "utf-16")])
def test_tables_are_read_as_people_save_them(flat, header, separator, encoding):
    rows = [*([header] if header else []), *ROWS]
    result = read(flat, "\r\n".join(separator.join(row) for row in rows), encoding)
    assert sorted(answers(result)) == ROWS
    assert not result.findings
    file, label = header or ("column 1", "column 2")
    assert result.notes == (f"labels.csv: column {file!r} names the files, {label!r} their classes.",)
    assert result.notes[0] in str(result).split("\n")[1]


def table_of(titles, *columns):
    return "\n".join(map(",".join, [titles.split(","), *zip(*columns, strict=True)]))


FILES, CLASSES = zip(*ROWS, strict=True)
STEMS, AGES, SEXES = [name[0] for name in FILES], ["50"] * 6, ["male", "female"] * 3
CAT, DOG = (["1.0" if name == c else "0.0" for name in CLASSES] for c in ("cat", "dog"))


@pytest.mark.parametrize(
    ("text", "label_column"),
    [
        (table_of("image,cat,dog", STEMS, CAT, DOG), None),  # one column a class
        (table_of(",image,cat,dog", STEMS[::-1], STEMS, CAT, DOG).replace("1.0", "True").replace("0.0", "False"), None),
        (table_of("image_id,sex,age,dx", STEMS, SEXES, AGES, CLASSES), None),
        (table_of("sex,Diagnosis,name,age", SEXES, CLASSES, FILES, AGES), None),
        (table_of("sex,what,photo,age", SEXES, CLASSES, FILES, AGES), "What"),
        (table_of("image,sex,label,category", FILES, SEXES, SEXES, CLASSES), "category"),
        (table_of("number,label,id", AGES, CLASSES, STEMS), None),
        (table_of(",file,label", STEMS[::-1], FILES, CLASSES), None),  # written with the row numbers
        (table_of(",label", FILES, CLASSES), None),
        ("sep=;\n" + table_of("file,label", FILES, CLASSES).replace(",", ";"), None),
        (table_of("file,label,,", FILES, CLASSES, [""] * 6, [""] * 6), None),
        (table_of("file,label", [f".\\{name}" for name in FILES], CLASSES), None),
        ("\n".join(map(",".join, zip(FILES, SEXES, CLASSES, strict=True))), "column 3"),
    ],
)
def test_the_columns_are_found(flat, text, label_column):
    assert sorted(answers(read(flat, text, label_column=label_column))) == ROWS


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            table_of("image,sex,age,finding", STEMS, SEXES, AGES, CLASSES),
            "which holds the.*'sex', 'age', 'find",
        ),
        (table_of("image,female,male,code", STEMS, CAT, DOG, AGES), "one of 'female', 'male', 'code'"),
        (
            table_of("image,label,species", STEMS, SEXES, CLASSES),
            "several columns of labels. Name the column",
        ),
        (table_of("image,cat,dog", STEMS, CAT, CAT), "gives 2 classes in row 2, but one class a file was expected"),
        (
            table_of("image,split", STEMS, ["train", "test"] * 3),
            "'split' their classes. 'test', 'train' look",
        ),
        ("\n".join(map(",".join, zip(FILES, SEXES, CLASSES, strict=True))), "without titles.*'column 2', 'column 3'"),
        ("file,label\n0.png,cat, grey\n", "more cells in row 2 than titles"),
        ('file,label\n0.png,"cat\n1.png,dog\n', "is not a table: .*EOF inside string"),
        (b"", "has 0 rows and no two columns"),
        (b"file\n0.png\n", "has 2 rows and no two columns"),
        (b"file label\n0.png cat\n", "has 2 rows and no two columns"),
        (b"PK\x03\x04" + bytes(30), "is a workbook, not a CSV table"),
        ("file,label\n0.png,cat".encode("utf-16-le"), "holds zero bytes"),
        ("file,label\n0.png,süß".encode("cp1252"), r"is not in UTF-8 \(byte 18 is 0xfc\).*'CSV UTF-8'"),
        (b"file,label\nx.png,cat\n", r"no row of .*labels\.csv names a file in .*, which holds 7 files, such as 0.png"),
    ],
)
def test_tables_that_cannot_be_used_say_why(flat, text, says):
    with pytest.raises(FolderError, match=says):
        read(flat, text)


def test_columns_that_are_not_read_are_named(flat):
    result = read(flat, table_of("image,label,split", FILES, CLASSES, ["train", "test"] * 3))
    assert result.notes[0].endswith("'label' their classes; not read: 'split'.")


def test_an_unknown_column_and_a_missing_table_are_named(flat):
    with pytest.raises(FolderError, match=r"0 columns 'breed', not one.*'sex', 'dx'"):
        read(flat, table_of("image,sex,dx", STEMS, SEXES, CLASSES), label_column="breed")
    with pytest.raises(FolderError, match="could not read the table"):
        scan(flat, "gone.csv")
    with pytest.raises(FolderError, match=r"the column 'dx' was named, but no table of .* was given \(--csv\)"):
        scan(flat, label_column="dx")


def test_a_class_may_be_called_none_or_hold_a_comma(flat):
    result = read(flat, 'file;label\n0.png;NA\n1.png;None\n2.png;nan\n3.png;"cat; grey"\n4.png;red, blue\n5.png;007\n')
    assert result.classes == ("007", "NA", "None", "cat; grey", "nan", "red, blue")


def test_rows_that_do_not_fit_are_told(flat, tmp_path):
    picture(50).save(tmp_path / "secret.png")
    lines = ["file,label", "0.png,cat", "1.png,", "2.png,dog", "2.png,cat", "gone.png,dog", "3.png,dog", "3.png,dog"]
    lines += ["../secret.png,cat", f"{tmp_path / 'secret.png'},cat", "C:\\x.png,cat", "", "4.png"]
    result = read(flat, "\n".join(lines))
    assert result.files == ("0.png", "3.png")
    told = {f.why for f in result.findings}
    assert "row 3 of labels.csv has an empty class" in told
    assert "labels.csv calls it 'dog' and, in row 5, 'cat'" in told
    assert "row 6 of labels.csv names 'gone.png', which is not there" in told
    assert "row 9 of labels.csv names '../secret.png', which is not below the folder" in told
    assert "row 13 of labels.csv has an empty class" in told
    assert "has no row in labels.csv" in told
    kinds = [f.kind for f in result.findings]
    assert (kinds.count("outside the folder"), kinds.count("two classes")) == (3, 1)


@pytest.mark.parametrize("seed", range(20))
def test_random_tables_never_give_a_file_another_class(flat, seed):
    """Whatever order, separator, titles and noise: the right classes, or a question."""
    draws = np.random.default_rng(seed)
    columns = {"photo": FILES, str(draws.choice(["label", "dx", "kind"])): CLASSES}
    columns |= {"sex": SEXES, "age": AGES} if draws.random() < 0.5 else {}
    order = draws.permutation(list(columns))
    text = table_of(",".join(order), *map(columns.get, order)).replace(",", draws.choice([",", ";", "\t"]))
    if "kind" in columns and "sex" in columns:
        with pytest.raises(FolderError, match="which holds the classes"):
            read(flat, text)
    else:
        assert sorted(answers(read(flat, text))) == ROWS
