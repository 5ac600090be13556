"""A folder in any file system that Spark knows, through Hadoop's own interface."""

from __future__ import annotations

from typing import Any

from open_nsfw.cluster.session import told


def as_pattern(path: str) -> str:
    """What Spark's readers, which take paths for patterns, find at this path and at no other."""
    return "".join(f"\\{letter}" if letter in "\\{}[]*?" else letter for letter in path)


def quoted(column: str) -> str:
    """A column's name as Spark's functions take it, dots and backticks included."""
    return "`{}`".format(column.replace("`", "``"))


class Folder:
    """A folder, which need not be there yet. Names are relative to it. All methods raise SetupError for what fails."""

    def __init__(self, spark: Any, path: str) -> None:
        self.spark = spark
        self._package = spark._jvm.org.apache.hadoop.fs
        with told():
            root = self._package.Path(path)
            self._files = root.getFileSystem(spark._jsc.hadoopConfiguration())
            self._root = root.makeQualified(self._files.getUri(), self._files.getWorkingDirectory())
        self.path = self._root.toString()
        """With its scheme: `file:/data/scores`, `hdfs://...`."""

    def names(self) -> list[str]:
        """What is in it, without what is in folders below; nothing where there is no folder."""
        with told():
            if not self._files.exists(self._root):
                return []
            return sorted(status.getPath().getName() for status in self._files.listStatus(self._root))

    def make(self, name: str = ".") -> None:
        """Make it, or a folder in it, with all folders above."""
        with told():
            self._files.mkdirs(self._at(name))

    def has(self, name: str) -> bool:
        """Whether there is a file or folder of this name."""
        with told():
            return bool(self._files.exists(self._at(name)))

    def remove(self, name: str) -> None:
        """Remove a file, or a folder with all in it; nothing happens where there is none."""
        with told():
            self._files.delete(self._at(name), True)

    def move(self, name: str, new: str) -> None:
        """Give a file another name. Nothing happens where it is not there."""
        with told():
            if self._files.exists(self._at(name)):
                self._files.rename(self._at(name), self._at(new))

    def read(self, name: str) -> str:
        """The text of a small file."""
        with told():
            stream = self._files.open(self._at(name))
            try:
                text: str = self.spark._jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8")
            finally:
                stream.close()
        return text

    def write(self, name: str, text: str) -> None:
        """Write a small file: under another name first, so that it is whole where it is there."""
        with told():
            part = self._at(f"_{name}.part")
            stream = self._files.create(part, True)
            try:
                stream.write(bytearray(text.encode("utf-8")))
            finally:
                stream.close()
            self._files.delete(self._at(name), False)
            self._files.rename(part, self._at(name))

    def take_from_disk(self, local: str, name: str) -> None:
        """Bring a file of the driver's disk into it."""
        with told():
            self._files.copyFromLocalFile(True, True, self._package.Path(f"file:{local}"), self._at(name))

    def path_of(self, name: str) -> str:
        """The path of something in it."""
        return f"{self.path}/{name}"

    def _at(self, name: str) -> Any:
        return self._root if name == "." else self._package.Path(self._root, name)
