"""The notebook in docs/ runs from top to bottom in a real kernel, and shows what it says."""

from pathlib import Path

import pytest

from tests.conftest import ROOT, copy_project


@pytest.mark.real_data
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Jupyter's own
def test_notebook_runs(tmp_path: Path, fashion_mnist_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nbformat
    from nbclient import NotebookClient

    copy_project(tmp_path)
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    notebook = nbformat.read(ROOT / "docs" / "notebook.ipynb", as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    kinds = [kind for output in outputs for kind in output.get("data", {})]
    assert kinds.count("image/png") == 3 and "text/html" in kinds
    text = "".join(output.get("data", {}).get("text/plain", "") for output in outputs)
    assert "SoftmaxRegression, CrossEntropy, SGD on 60000 images" in text and "6 jobs: 1 stack of 6" in text
    assert "is no better than guessing" not in text
