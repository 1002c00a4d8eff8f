"""The page in a real browser, from the disk and without a network."""

import pytest
import servers

OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
MIDDLE = """path => {
  const middle = path.getPointAtLength(path.getTotalLength() / 2).matrixTransform(path.getScreenCTM());
  return [middle.x, middle.y];
}"""
"""The point in the middle of a curve, in pixels of the window."""
SHOWN = "<img src=x onerror=alert(1)></script>{{7*7}}=cmd()\\x1b[31m"
"""How the page shows the hostile name."""


@pytest.fixture(scope="module")
def chromium():
    servers.demand("browser")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=servers.browser_program(), args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(page, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page, encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def opened(chromium, address):
    """The page in a window; afterwards, nothing else was requested and nothing was said on the console."""
    window = chromium.new_page(viewport={"width": 1400, "height": 900})
    requests, said = [], []
    window.on("request", lambda request: requests.append(request.url))
    window.on("console", lambda message: said.append(message.text))
    window.on("pageerror", lambda error: said.append(str(error)))
    window.goto(address)
    yield window
    window.close()
    assert requests == [address]
    assert said == []


def trials(window):
    """The frame of the table of trials, and a function that reads a column of the rows that are shown."""
    frame = window.locator("section", has=window.locator("h3", has_text="Trials")).locator(".table")
    headings = frame.locator("th").all_inner_texts()

    def column(name):
        place = headings.index(name) + 1
        return frame.locator(f"tbody tr:not([hidden]) td:nth-child({place})").all_inner_texts()

    return frame, column


def test_the_answer_is_that_of_the_result(opened, result):
    assert opened.locator("p.answer").first.inner_text() == result.sentence


def test_a_hostile_name_is_shown_as_it_is(opened):
    assert opened.title() == SHOWN
    assert opened.locator("h1").inner_text() == SHOWN
    assert opened.locator("article p", has_text="{{7*7}}").last.inner_text() == SHOWN
    assert opened.locator("img").count() == 0


def test_a_click_sorts_and_another_one_turns_the_order(opened):
    frame, column = trials(opened)
    assert column("repetition") == ["0", "1", "2"] * 2
    header = frame.locator("th", has_text="repetition")
    header.locator("button").click()
    assert header.get_attribute("aria-sort") == "ascending"
    assert column("repetition") == ["0", "0", "1", "1", "2", "2"]
    header.locator("button").press("Enter")
    assert header.get_attribute("aria-sort") == "descending"
    assert column("repetition") == ["2", "2", "1", "1", "0", "0"]
    frame.locator("th", has_text="accuracy").locator("button").click()
    assert column("accuracy")[-1] == "–", "what is unknown comes last"
    assert header.get_attribute("aria-sort") is None


def test_rows_are_filtered_by_words_and_outcome(opened):
    frame, column = trials(opened)
    said = frame.locator(".controls output")
    assert said.inner_text() == "6 of 6 rows"
    frame.locator("select").select_option("solved")
    assert column("outcome") == ["solved", "solved"]
    frame.locator("select").select_option("")
    frame.locator("input").fill("5 diver")
    assert (column("outcome"), said.inner_text()) == (["diverged"], "1 of 6 rows")
    frame.locator("input").fill("nothing")
    assert said.inner_text() == "0 of 6 rows"


def test_the_pointer_and_the_keyboard_name_a_curve(opened):
    figure = opened.locator("figure", has=opened.locator(".named")).first
    curves, name = figure.locator(".named"), figure.locator("output")
    names = [curve.get_attribute("aria-label") for curve in curves.all()]
    assert "T = 3, repetition 1: solved" in names
    figure.scroll_into_view_if_needed()
    opened.mouse.move(*curves.nth(2).locator("path").first.evaluate(MIDDLE))
    assert name.inner_text() in names
    opened.mouse.move(1, 1)
    assert name.inner_text() == ""
    assert figure.locator(".named[tabindex='0']").count() == 1, "one curve is in the order of the Tab key"
    figure.locator(".named[tabindex='0']").focus()
    for key, place in (("ArrowRight", 1), ("End", -1), ("ArrowRight", 0), ("ArrowLeft", -1), ("Home", 0)):
        opened.keyboard.press(key)
        assert name.inner_text() == names[place]
    assert figure.locator(".chosen").count() == 1


def test_tags_select_chapters(opened):
    chapters = opened.locator("article")
    button = opened.locator("[data-tag=draft]")
    button.click()
    assert [one.is_visible() for one in chapters.all()] == [False, True]
    assert button.get_attribute("aria-pressed") == "true"
    button.press("Enter")
    assert all(one.is_visible() for one in chapters.all())


def test_the_specification_is_copied_or_selected(opened):
    box = opened.locator(".copy")
    box.locator("button").click()
    box.locator("button", has_text="ed").wait_for()
    chosen = opened.evaluate("getSelection().toString()")
    assert box.locator("button").inner_text() == "Copied" or "lengths = [" in chosen


def test_a_phone_scrolls_figures_and_tables_and_not_the_page(chromium, address):
    window = chromium.new_page(viewport={"width": 390, "height": 800})
    window.goto(address)
    assert window.evaluate("document.documentElement.scrollWidth") == 390
    window.close()


def test_everything_can_be_read_without_the_script(chromium, address, result):
    context = chromium.new_context(java_script_enabled=False)
    window = context.new_page()
    window.goto(address)
    assert window.locator("p.answer").first.inner_text() == result.sentence
    assert window.locator("article:visible").count() == 2
    assert window.locator("tbody tr:visible").count() == 2 + 6 + 2, "lengths, trials, and those without a result"
    context.close()


def test_a_print_leaves_out_what_is_for_the_screen(opened):
    opened.emulate_media(media="print")
    for gone in ("nav", ".controls", ".copy button", ".download"):
        assert not opened.locator(gone).first.is_visible()
    opened.set_viewport_size({"width": 794, "height": 1123})  # A4
    widths = [figure.bounding_box()["width"] for figure in opened.locator("svg.figure").all()]
    assert all(600 < width <= 794 for width in widths), "figures fill the paper and do not leave it"
    assert opened.pdf()[:5] == b"%PDF-"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(chromium, address, scheme):
    from axe_playwright_python.sync_playwright import Axe

    window = chromium.new_page(color_scheme=scheme)
    window.goto(address)
    window.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    found = Axe().run(window).response
    window.close()
    bad = [one for one in found["violations"] if one["impact"] in ("serious", "critical")]
    assert [(one["id"], one["nodes"][0]["html"]) for one in bad] == []
    assert len(found["passes"]) > 20


def test_axe_finds_a_planted_fault(chromium):
    from axe_playwright_python.sync_playwright import Axe

    window = chromium.new_page()
    window.set_content("<html><body><button></button></body></html>")
    assert "button-name" in [one["id"] for one in Axe().run(window).response["violations"]]
    window.close()
