"""Finds the packages. All else is in pyproject.toml, which can rename a folder or discover packages, but not both."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["ncgopt", "ncgopt.*"]), "ncgopt_cli"],
    package_dir={"ncgopt_cli": "cli"},
)
