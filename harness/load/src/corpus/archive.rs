//! Members of a package archive: gzipped tar, and a zip inside it.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use flate2::read::GzDecoder;

use super::CorpusError;

/// Largest member that is unpacked; the largest one wanted has 31 MB.
const MEMBER_MAX_BYTES: u64 = 256 << 20;

/// The members whose path (without the archive's top folder) `wanted` accepts, sorted by path.
pub(super) fn members(
    archive: &Path,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<(String, Vec<u8>)>, CorpusError> {
    let file = File::open(archive).map_err(CorpusError::io("open", archive))?;
    let mut tar = tar::Archive::new(GzDecoder::new(std::io::BufReader::new(file)));
    let mut found = Vec::new();
    for entry in tar.entries().map_err(CorpusError::io("unpack", archive))? {
        let entry = entry.map_err(CorpusError::io("unpack", archive))?;
        let path = entry.path().map_err(CorpusError::io("unpack", archive))?;
        let inside = path.to_string_lossy().split_once('/').map(|(_, rest)| rest.to_owned());
        if let Some(name) = inside.filter(|name| wanted(name)) {
            let content = read_capped(entry, archive)?;
            found.push((name, content));
        }
    }
    found.sort();
    Ok(found)
}

/// The one member at `path`.
pub(super) fn member(archive: &Path, path: &str) -> Result<Vec<u8>, CorpusError> {
    let missing = || CorpusError::MissingMember { path: archive.to_owned(), member: path.to_owned() };
    members(archive, |name| name == path)?.pop().map(|(_, content)| content).ok_or_else(missing)
}

/// One file of a zip held in memory.
pub(super) fn unzip(archive: &Path, zipped: Vec<u8>, name: &str) -> Result<Vec<u8>, CorpusError> {
    let broken = |error: zip::result::ZipError| CorpusError::Io {
        op: "unzip",
        path: archive.join(name),
        source: std::io::Error::other(error),
    };
    let mut zip = zip::ZipArchive::new(Cursor::new(zipped)).map_err(broken)?;
    let entry = zip.by_name(name).map_err(broken)?;
    read_capped(entry, archive)
}

fn read_capped(source: impl Read, archive: &Path) -> Result<Vec<u8>, CorpusError> {
    let mut content = Vec::new();
    let read = source.take(MEMBER_MAX_BYTES + 1).read_to_end(&mut content);
    let bytes = read.map_err(CorpusError::io("unpack", archive))? as u64;
    if bytes <= MEMBER_MAX_BYTES {
        return Ok(content);
    }
    Err(CorpusError::TooLarge { path: archive.to_owned(), bytes, max: MEMBER_MAX_BYTES })
}
