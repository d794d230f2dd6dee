"""Photographs of your own: from a folder, a table of labels or a zip archive to a set that can be trained on."""

from tlcourse.data.archives import ArchiveError, unpack_zip
from tlcourse.data.folder_findings import KINDS, FileFinding, FolderError
from tlcourse.data.folder_inspection import inspect
from tlcourse.data.folder_report import FolderReport
from tlcourse.data.folder_scan import Scan, scan
from tlcourse.data.image_folder import write_image_folder
from tlcourse.data.photo_files import PhotoError, open_photo
from tlcourse.data.photo_loader import PhotoLoader, photo_augmentation, suitable_workers
from tlcourse.data.photo_set import PhotoSet

__all__ = [
    "KINDS",
    "ArchiveError",
    "FileFinding",
    "FolderError",
    "FolderReport",
    "PhotoError",
    "PhotoLoader",
    "PhotoSet",
    "Scan",
    "inspect",
    "open_photo",
    "photo_augmentation",
    "scan",
    "suitable_workers",
    "unpack_zip",
    "write_image_folder",
]
