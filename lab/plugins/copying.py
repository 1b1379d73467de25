"""Files to a host by SFTP: in place, with the server's own mode, never removed again.

pulumi/pulumi-command v1.2.1, provider/pkg/provider/remote/copyController.go (sftpCopy, copyTextContent).
"""

import os
import stat
from pathlib import Path, PurePosixPath

import asyncssh

from lab.plugins.calls import RefusedError
from lab.plugins.values import Asset


async def copy(connection: asyncssh.SSHClientConnection, source: Asset, path: str) -> None:
    """Copies a text, a file or a folder to a path. Raises RefusedError.

    A file goes into a folder that exists, or to the path itself, whose folders are made; a folder goes below the path
    under its own name, or where it is written with a slash at the end, its content does.
    """
    async with connection.start_sftp_client() as sftp:
        try:
            if source.text:
                await _text(sftp, source.text, path)
            elif (local := _local(source.path)).is_dir():
                await _folder(sftp, source.path, path)
            else:
                await _file(sftp, local, path)
        except asyncssh.SFTPNoSuchFile:
            raise RefusedError(f"failed to create remote file {path}: file does not exist") from None
        except asyncssh.SFTPError as error:
            raise RefusedError(
                f"failed to create remote file {path}: sftp: {error.reason!r} (SSH_FX_FAILURE)"
            ) from None


def _local(path: str) -> Path:
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError as error:
        text = os.strerror(error.errno or 0)
        raise RefusedError(f"open {path}: {text[:1].lower()}{text[1:]}") from None
    return Path(path)


async def _kind(sftp: asyncssh.SFTPClient, path: str) -> str | None:
    """`folder` or `file`, or None where there is nothing."""
    try:
        mode = (await sftp.stat(path)).permissions or 0
    except asyncssh.SFTPNoSuchFile:
        return None
    except asyncssh.SFTPError as error:
        raise RefusedError(f"failed to stat remote path {path}: {error.reason}") from None
    return "folder" if stat.S_ISDIR(mode) else "file"


async def _parents(sftp: asyncssh.SFTPClient, path: str) -> None:
    folder = str(PurePosixPath(path).parent)
    try:
        await sftp.makedirs(folder, exist_ok=True)
    except asyncssh.SFTPError:
        raise RefusedError(f"failed to create parent directories for {path}: mkdir {folder}: not a directory") from None


async def _write(sftp: asyncssh.SFTPClient, path: str, content: bytes) -> None:
    async with sftp.open(path, "wb") as file:
        await file.write(content)


async def _text(sftp: asyncssh.SFTPClient, text: str, path: str) -> None:
    if await _kind(sftp, path) == "folder":
        raise RefusedError(
            f"remote path {path} is a directory; when using a text asset, remotePath must be a file path"
        )
    await _parents(sftp, path)
    await _write(sftp, path, text.encode())


async def _file(sftp: asyncssh.SFTPClient, local: Path, path: str) -> None:
    kind = await _kind(sftp, path)
    if kind == "folder":
        path = f"{path.rstrip('/')}/{local.name}"
    elif kind is None:
        await _parents(sftp, path)
    await _write(sftp, path, local.read_bytes())


async def _folder(sftp: asyncssh.SFTPClient, source: str, path: str) -> None:
    if await _kind(sftp, path) is None:
        await sftp.makedirs(path)
    if not source.endswith("/"):
        path = f"{path.rstrip('/')}/{Path(source).name}"
        await _ensure(sftp, path)
    await _content(sftp, Path(source), path)


async def _ensure(sftp: asyncssh.SFTPClient, path: str) -> None:
    kind = await _kind(sftp, path)
    if kind == "file":
        raise RefusedError(f"remote path {path} exists but is not a directory")
    if kind is None:
        try:
            await sftp.mkdir(path)
        except asyncssh.SFTPError:
            raise RefusedError(f"failed to create remote directory {path}: file does not exist") from None


async def _content(sftp: asyncssh.SFTPClient, local: Path, path: str) -> None:
    await _ensure(sftp, path)
    for item in sorted(local.iterdir()):
        if item.is_dir():
            await _content(sftp, item, f"{path}/{item.name}")
        else:
            await _write(sftp, f"{path}/{item.name}", item.read_bytes())
