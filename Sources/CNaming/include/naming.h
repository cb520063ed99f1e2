#pragma once

/// Gives a file another name that nothing has, in one step that a crash leaves done or undone; 0, or -1 and
/// errno: EEXIST where something has it. Where the filesystem knows no such step, the file has both names
/// for a moment.
int holdfast_name_new(int old_directory, const char *old_name, int directory, const char *name);
