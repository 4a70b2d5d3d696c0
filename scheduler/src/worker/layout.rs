//! Where a debugger finds what there is to know of a worker.

use std::mem::offset_of;

use super::Worker;
use crate::debugger::Entry;
use crate::post::Post;
use crate::settings::Settings;
use crate::team::Team;

pub(crate) static LAYOUT: [Entry; 7] = [
    Entry::new("post.worker", offset_of!(Post, worker)),
    Entry::new("worker.index", offset_of!(Worker, index)),
    Entry::new("worker.current", offset_of!(Worker, current)),
    Entry::new("worker.team", offset_of!(Worker, team)),
    Entry::new("team.settings", offset_of!(Team, settings)),
    Entry::new("settings.name", offset_of!(Settings, name)),
    Entry::new("settings.thread_name", offset_of!(Settings, thread_name)),
];
