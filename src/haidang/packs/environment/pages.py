"""The pages of the environment pack."""

from haidang.sdk.model import Page

PAGES: tuple[Page, ...] = ()
