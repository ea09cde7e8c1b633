//! The program that measures, as it was built.

use plimsoll_results::ToolBuild;

/// Name and version of the calling program with the commit, compiler and profile of this build.
///
/// `dirty` is set when the sources had uncommitted changes while this crate was built, and absent otherwise:
/// later edits elsewhere cannot be seen, so it never says `false`.
pub fn tool_build(name: &str, version: &str) -> ToolBuild {
    ToolBuild {
        name: name.to_owned(),
        version: version.to_owned(),
        git_sha: option_env!("PLIMSOLL_GIT_SHA").map(str::to_owned),
        dirty: option_env!("PLIMSOLL_GIT_DIRTY").map(|_| true),
        rustc: option_env!("PLIMSOLL_RUSTC").map(str::to_owned),
        profile: option_env!("PLIMSOLL_PROFILE").unwrap_or("unknown").to_owned(),
    }
}
