"""A person at a browser: what they read, press and fill in, by the words on the screen."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from marketplace.signatures.sign import Credential
from tests.factories.marketplace import PASSWORD

P12_PASSWORD = "the key's own password"


@dataclass
class Visitor:
    """One person. `pictures`: where a picture of each named step is kept, if anywhere."""

    name: str
    page: Page
    files: Path
    pictures: Path | None = None
    _taken: int = field(default=0, init=False)

    # Reading

    def sees(self, words: str | re.Pattern[str]) -> None:
        """The words stand somewhere on the page, where they can be seen."""
        expect(self.page.get_by_text(words).filter(visible=True).first).to_be_visible()

    def reads_title(self, words: str | re.Pattern[str]) -> None:
        expect(self.page.get_by_role("heading", level=1)).to_contain_text(words)

    def is_told(self, words: str | re.Pattern[str]) -> None:
        """A message about what was just done."""
        expect(self.page.get_by_role("status").filter(has_text=words).first).to_be_visible()

    def is_answered(self, words: str | re.Pattern[str]) -> None:
        """A sentence that is read out at once, such as why not."""
        expect(self.page.get_by_role("alert").filter(has_text=words).filter(visible=True).first).to_be_visible()

    is_refused = is_answered

    def picture(self, name: str) -> None:
        """Keep a picture of the whole page, for people to look at."""
        if self.pictures is not None:
            self._taken += 1
            self.pictures.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=self.pictures / f"{self.name}-{self._taken:02d}-{name}.png", full_page=True)

    def pictures_in_every_look(self, name: str) -> None:
        """Pictures of the page wide and narrow, light and dark; it must not scroll sideways in any."""
        if self.pictures is None:
            return
        usual = self.page.viewport_size
        for width in (1440, 390):
            self.page.set_viewport_size({"width": width, "height": 900})
            for theme in ("light", "dark"):
                self.page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]  # one of the two
                self.picture(f"{name}-{width}-{theme}")
            wide = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, f"{name} scrolls sideways by {wide} pixels at {width}"
        self.page.emulate_media(color_scheme="light")
        if usual:
            self.page.set_viewport_size(usual)

    # Doing

    def goes_to(self, address: str) -> None:
        self.page.goto(address)

    def logs_in(self, email: str, password: str = PASSWORD) -> None:
        self.goes_to("/accounts/login/")
        self.page.get_by_label("E-mail").fill(email)
        self.page.get_by_label("Password", exact=True).fill(password)
        self.presses("Log in", within=self.page.get_by_role("main"))
        expect(self.page.get_by_role("heading", name=re.compile("^Hello"))).to_be_visible()

    def follows(self, words: str | re.Pattern[str], *, within: Locator | None = None) -> None:
        """Press a link."""
        (within or self.page).get_by_role("link", name=words).first.click()

    def presses(self, words: str | re.Pattern[str], *, within: Locator | None = None) -> None:
        """Press a button."""
        (within or self.page).get_by_role("button", name=words).first.click()

    def fills(self, **fields: str) -> None:
        """Fill in fields by their labels; an underscore stands for a blank."""
        for label, value in fields.items():
            self.page.get_by_label(label.replace("_", " ")).fill(value)

    def menu(self, words: str) -> None:
        """Go to one of the pages in the top bar."""
        self.follows(words, within=self.page.get_by_role("navigation", name="Main"))

    # Signing

    def chooses_key(self, credential: Credential, password: str = P12_PASSWORD) -> None:
        """Give the page a key file and its password, as one does to sign."""
        path = self.files / f"{credential.serial}.p12"
        if not path.exists():
            path.write_bytes(credential.p12(P12_PASSWORD))
        self.page.get_by_label("Key file (.p12 or .pfx)").set_input_files(path)
        self.page.get_by_label("Password of the key file").fill(password)

    def signs(self, button: str, credential: Credential, *, twice: bool = False) -> None:
        """Sign in the page and send; `twice` with an impatient double click."""
        self.chooses_key(credential)
        press = self.page.get_by_role("button", name=button)
        if twice:
            press.dblclick()
        else:
            press.click()
