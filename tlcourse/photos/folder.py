"""Photographs of your own: from a folder, a table of labels or a zip archive to a set that can be trained on."""

from tlcourse.photos.archives import ArchiveError, unpack_zip
from tlcourse.photos.findings import KINDS, FileFinding, FolderError
from tlcourse.photos.folder_report import FolderReport
from tlcourse.photos.image_folder import write_image_folder
from tlcourse.photos.inspection import inspect
from tlcourse.photos.loader import PhotoLoader, photo_augmentation, suitable_workers
from tlcourse.photos.photoset import PhotoSet
from tlcourse.photos.read import PhotoError, open_photo
from tlcourse.photos.scan import Scan, scan

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
