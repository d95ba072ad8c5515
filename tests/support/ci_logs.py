"""Reads a job's log as the runners of CI services do, so that tests see what such a service would."""

import re


class GithubLog:
    """What actions/runner makes of a log (ActionCommand.cs): a line is a command if it begins, behind any space,
    with `::`, or has `##[` anywhere, and names a command that there is."""

    COMMANDS = (
        "add-mask add-matcher add-path debug echo endgroup error group notice remove-matcher save-state set-env "
        "set-output stop-commands warning"
    ).split()

    def __init__(self, text):
        self.lines = []  # (group or None, text), of what is no command
        self.annotations = []  # (level, properties, message)
        self.groups = []
        self.others = []  # commands that `pipe` has no business to give
        group = None
        for line in text.splitlines():
            command = self._parse(line)
            if command is None:
                self.lines.append((group, line))
                continue
            name, properties, data = command
            if name == "group":
                if group is not None:
                    raise AssertionError(f"{data!r} begins within {group!r}")
                group = data
                self.groups.append(data)
            elif name == "endgroup":
                if group is None:
                    raise AssertionError("a group ends that has not begun")
                group = None
            elif name in ("error", "warning", "notice"):
                self.annotations.append((name, properties, data))
            else:
                self.others.append(line)
        if group is not None:
            raise AssertionError(f"{group!r} does not end")

    def inside(self, group):
        return [line for at, line in self.lines if at == group]

    def _parse(self, line):
        """(name, properties, data) or None."""
        new = re.match(r"\s*::([^\s:]*)(?: (.*?))?::(.*)", line)
        if new and new[1] in self.COMMANDS:
            pairs = [pair.split("=", 1) for pair in (new[2] or "").split(",") if "=" in pair]
            return new[1], {key: self._unescape(value, ":,") for key, value in pairs}, self._unescape(new[3], "")
        old = re.search(r"##\[([^\] ]*)[^\]]*\](.*)", line)
        return (old[1], {}, old[2]) if old and old[1] in self.COMMANDS else None

    @staticmethod
    def _unescape(text, more):
        for char in "\r\n" + more + "%":  # % comes last, as there
            text = text.replace(f"%{ord(char):02X}", char)
        return text


def read_github_file(text):
    """The name=value and name<<END entries of GITHUB_OUTPUT; what is neither is an error, as it is there."""
    found, lines = {}, iter(text.splitlines())
    for line in lines:
        heredoc = re.fullmatch(r"([^=<]+)<<(.+)", line)
        if heredoc:
            value = []
            while (part := next(lines)) != heredoc[2]:
                value.append(part)
            found[heredoc[1]] = "\n".join(value)
        else:
            name, equals, value = line.partition("=")
            if not equals:
                raise AssertionError(f"invalid format {line!r}")
            found[name] = value
    return found


def read_gitlab_sections(text):
    """{title: lines} of a log of GitLab, by the marks that its parser knows; "" has what stands in none."""
    mark = re.compile(r"\x1b\[0Ksection_(start|end):(\d+):([a-zA-Z0-9_.-]+)(\[collapsed=true\])?\r\x1b\[0K(.*)")
    found, open_section, title, names = {"": []}, None, "", []
    for line in text.split("\n"):
        seen = mark.fullmatch(line)
        if not seen:
            found[title].append(line)
        elif seen[1] == "start":
            if open_section is not None or seen[3] in names:
                raise AssertionError(f"section {seen[3]} begins again, or in another: {line!r}")
            open_section, title = seen[3], seen[5]
            names.append(seen[3])
            found.setdefault(title, [])
        else:
            if seen[3] != open_section:
                raise AssertionError(f"section {seen[3]} ends in {open_section}")
            open_section, title = None, ""
    if open_section is not None:
        raise AssertionError(f"section {open_section} does not end")
    return found


def read_dotenv(text):
    """As GitLab reads artifacts:reports:dotenv (Ci::ParseDotenvArtifactService): what it refuses is an error."""
    found = {}
    for line in text.splitlines():
        match = re.fullmatch(r"([a-zA-Z0-9_]+)=(.*)", line)
        if not match or match[1] in found:
            raise AssertionError(f"Invalid Format: {line!r}")
        found[match[1]] = match[2].strip()
    return found
