"""The page: what is drawn, that nothing in it can run or leave the machine, and what a real browser makes of it."""

import json
import re
import shutil
import subprocess
from html import unescape
from html.parser import HTMLParser

import pytest
from troubled import SOURCE, a_troubled_run

from gossipfl.scenario.report.build import build, metrics
from gossipfl.scenario.report.page import plot, render
from gossipfl.scenario.report.page.units import bytes_text

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on this machine to open the page in")
ROUNDS = 60


class Page(HTMLParser):
    """All elements of a page, with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.elements = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def of(self, tag, css=""):
        wanted = set(css.split())
        return [one for name, one in self.elements if name == tag and wanted <= set((one.get("class") or "").split())]


@pytest.fixture(scope="module")
def run():
    plan, ran, judged = a_troubled_run(rounds=ROUNDS)
    return build(plan, ran, judged, wall_s=33.0, source=SOURCE, overrides=["peers.count=24"]), metrics(ran)


@pytest.fixture(scope="module")
def page(run):
    return render(*run)


@pytest.fixture(scope="module")
def opened(page, tmp_path_factory):
    """The page as Chromium has it after a visit by keyboard, and what Chromium complained about."""
    visitor = """<script>
      const heard = document.getElementById("heard"), tip = document.getElementById("tip");
      const press = (plot, key) => plot.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
      document.getElementById("accuracy").focus();
      press(document.getElementById("accuracy"), "ArrowRight");
      document.body.dataset.accuracy = tip.textContent;
      press(heard, "ArrowDown");
      document.body.dataset.heard = tip.textContent;
      document.body.dataset.wide = document.documentElement.scrollWidth > innerWidth ? "too wide" : "fits";
    </script></body>"""
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page.replace("</body>", visitor), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--window-size=420,900",
               "--virtual-time-budget=2000", "--dump-dom"]                                               # fmt: skip
    done = subprocess.run([BROWSER, *options, path.as_uri()], capture_output=True, text=True, timeout=60, check=True)
    return Page(done.stdout), done.stderr


def points(path):
    return len(re.findall("[ML]", path["d"]))


def test_every_curve_has_a_point_per_round(page):
    drawn = Page(page)
    (mean, *others), worst = drawn.of("path", "line mean"), drawn.of("path", "line worst")
    assert [points(mean), points(worst[0])] == [ROUNDS, ROUNDS]
    assert [points(other) for other in others if "dot" not in other["class"]] == [ROUNDS] * 3, "distance and bytes"
    single = {one["data-peer"]: points(one) for one in drawn.of("path", "line peer")}
    assert len(single) == 24
    assert single["0"] == ROUNDS
    assert single["13"] == ROUNDS - 15, "it joined in round 15"
    assert len(drawn.of("path", "line peer liar")) == 3


def test_a_curve_is_broken_where_its_peer_was_away(page):
    (killed,) = [one for one in Page(page).of("path", "line peer") if one["data-peer"] == "12"]
    assert killed["d"].count("M") == 2


def test_names_cannot_become_markup(page):
    drawn = Page(page)
    assert len(drawn.of("script")) == 2
    assert "<script>strife" not in page
    assert '<script>alert("no")' not in page
    assert "<b>&amp; gone" not in page
    data = re.search(r'<script type="application/json" id="run">(.*?)</script>', page, re.S)[1]
    assert "<" not in data
    assert json.loads(data)["rounds"] == ROUNDS


def test_nothing_in_the_page_leaves_the_machine(page):
    addresses = [value for _, one in Page(page).elements for name, value in one.items()
                 if name in ("src", "href", "srcset", "action", "data", "xlink:href")]                   # fmt: skip
    assert all(address.startswith("#") for address in addresses)
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|import\(", page)
    (policy,) = [one["content"] for one in Page(page).of("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")


def test_liars_cuts_refusals_and_the_lost_are_in_the_picture_not_by_color_alone(page, run):
    drawn, (report, _) = Page(page), run
    assert len(drawn.of("g", "g-node g-liar")) == 3 + 1, "and one in the legend"
    assert len(drawn.of("g", "g-node g-lost")) == 1
    assert len(drawn.of("line", "g-cut")) == len(report["graph"]["cuts"]) + 1
    assert len(drawn.of("g", "badge liar")) == 3
    assert "peer 15, drawn hollow" in page
    assert "stroke-dasharray" in page


def test_the_end_is_told_at_a_glance(page, run):
    report, _ = run
    assert f">{report['accuracy']['min']:.3f}</p>" in page
    assert f">{report['gain']:+.3f}</p>" in page
    assert ">3 of 24</p>" in page
    assert "Missed what it promised" in page
    assert "Three lie, some are cut off" in page
    assert "<code>peers.count=24</code>" in page


def test_the_commands_of_the_story_can_be_copied(page):
    story = re.search(r'<div class="story">(.*?)</div>', page, re.S)[1]
    _, _, second, command = re.findall(r"<(?:p|pre)>(.*?)</(?:p|pre)>", story, re.S)
    assert second.splitlines()[1] == "Without any of it:"
    assert unescape(command).split("\\\n") == [
        "  gossipfl scenario run troubled --set 'liar=[]' ", "      --set 'churn=[]'"
    ]                                                                                                  # fmt: skip


def test_what_the_command_line_changed_stands_before_the_story_that_knows_nothing_of_it(page, run):
    changed = "<b>This run was changed:</b> <code>peers.count=24</code>"
    assert page.index("<h1>") < page.index(changed) < page.index("Much goes wrong")
    assert page.count("peers.count=24") == 1
    report = run[0] | {"file": {"text": SOURCE, "overrides": []}}
    assert "This run was changed" not in render(report, run[1])


def test_a_command_behind_a_colon_and_a_gap_can_be_copied_too(run):
    text = "# They learn\n# together.\n# Without liars:   gossipfl scenario run it\n\n[scenario]\n"
    shown = render(run[0] | {"file": {"text": text, "overrides": []}}, run[1])
    assert "<p>They learn\ntogether.</p><pre>Without liars:   gossipfl scenario run it</pre>" in shown


def test_a_liars_own_model_lies_where_the_axis_says_it_does(run):
    """It may be far below all that honest peers reach, alone or together."""
    report, lines = run
    peers = [one if one["honest"] else one | {"accuracy": 0.05} for one in report["per_peer"]]
    told = render(report | {"per_peer": peers}, lines)
    (drawn,) = re.findall(r'<div class="plot" id="peers".*?</figure>', told, re.S)
    ticks = [float(text) for text in re.findall(r'<span style="bottom:[\d.]+%">([\d.]+)</span>', drawn)]
    heights = {float(text) for text in re.findall(r'<i class="diamond"[^>]*bottom:([\d.]+)%', drawn)}
    (height,) = heights
    assert ticks[0] + height / 100 * (ticks[-1] - ticks[0]) == pytest.approx(0.05, abs=1e-3)


def test_what_honest_peers_concluded_is_told_in_words_and_a_bar_for_each(page, run):
    report, _ = run
    assert len(Page(page).of("span", "verdict-bar")) == 24
    assert all(sentence in page for sentence in report["conclusions"]["sentences"])
    liars = [one for one in Page(page).of("tr", "liar") if "data-peer" in one]
    assert {one["data-peer"] for one in liars} == {str(peer["number"]) for peer in report["per_peer"]
                                                   if not peer["honest"]}                                # fmt: skip


def test_another_run_is_laid_over_the_mean(run):
    report, lines = run
    drawn = render(report, lines, ("<other>", report))
    (curve,) = Page(drawn).of("path", "line other")
    assert points(curve) == ROUNDS
    assert "Dashed: the mean of &lt;other&gt;." in drawn
    assert "<other>" not in drawn


def test_a_run_that_nobody_finished_has_a_page(run):
    report, _ = run
    peers = [one | {"accuracy": None, "missing": "lost", "rounds": 0, "refusals": 0} for one in report["per_peer"]]
    nothing = report | {
        "curve": [], "heard": [[] for _ in peers], "per_peer": peers, "gain": None, "file": None, "unheard": [],
        "accuracy": dict.fromkeys(report["accuracy"]), "consensus_distance": None, "rss_mb": None,
        "updates": dict.fromkeys(report["updates"], 0), "happenings": [],
        "seconds": dict.fromkeys(report["seconds"]), "graph": {"edges": [], "cuts": [], "refusals": []},
    }  # fmt: skip
    assert "no honest peer finished" in render(nothing, [])


@pytest.mark.parametrize(("written", "said"), [
    ({"certified_in_use": 2, "proven_in_use": 2}, "with so many liars, wherever they sit, clipping by cs_plus is sure"),
    ({"certified_in_use": 2, "proven_in_use": 1}, "2: with so many liars, in every place that a search found for"),
    ({"certified_in_use": 0, "proven_in_use": 0}, "0: this graph alone promises nothing against liars"),
    ({}, "3: with so many liars, in every place that a search found for"),         # by an older version
])  # fmt: skip
def test_what_is_certified_is_sure_where_it_is_proven_only(run, written, said):
    report, lines = run
    kept = {name: value for name, value in report["topology"].items() if not name.endswith("_in_use")}
    drawn = render(report | {"topology": kept | {"certified_budget": 3} | written}, lines)
    assert said in drawn
    assert ("is sure" in drawn) == ("is sure" in said)


def test_a_single_round_has_a_page(run):
    report, lines = run
    once = report | {"curve": report["curve"][:1], "heard": [shares[:1] for shares in report["heard"]]}
    drawn = Page(render(once, [line for line in lines if line["round"] == 0]))
    assert points(drawn.of("path", "line mean")[0]) == 1


def test_a_hundred_peers_for_a_hundred_rounds_stay_a_small_file():
    plan, ran, judged = a_troubled_run(count=100, rounds=100, liars=12)
    assert len(render(build(plan, ran, judged, wall_s=33.0), metrics(ran))) < 1_000_000


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.62, 0.97), (0.0, 3e9), (0.5, 0.5), (-2.0, 7.0)])
def test_an_axis_holds_its_values_and_ends_at_ticks(low, high):
    axis = plot.linear(low, high)
    assert axis.low <= low + 1e-9
    assert axis.high >= high - 1e-9
    assert [axis.share(axis.ticks[0][0]), axis.share(axis.ticks[-1][0])] == pytest.approx([0, 1])
    assert len(axis.ticks) <= 8


def test_a_logarithmic_axis_goes_over_powers_of_ten():
    axis = plot.logarithmic(3e-7, 0.2)
    assert (axis.share(1e-7), axis.share(1.0)) == (pytest.approx(0), pytest.approx(1))
    assert axis.share(1e-4) - axis.share(1e-5) == pytest.approx(1 / 7)


def test_marks_that_would_overlap_become_one():
    drawn = plot.marks([(0.1, 1), (0.11, 2), (0.5, 3)], lambda x: x)
    assert re.findall(r">([^<]+)</a>", drawn) == ["1–2", "3"]
    assert 'href="#happened-1"' in drawn


@pytest.mark.parametrize(("value", "text"), [(0, "0 B"), (999, "999 B"), (1234, "1.23 kB"), (2.5e9, "2.5 GB")])
def test_bytes_are_told_in_three_digits(value, text):
    assert bytes_text(value) == text


# ---------------------------------------------------------------------------------------------- a real browser


@needs_browser
def test_a_browser_draws_the_page_without_complaint(opened):
    drawn, said = opened
    assert not re.findall(r".*CONSOLE.*", said)
    assert drawn.of("html")[0]["data-ready"] == "yes", "the script ran to its end"
    assert points(drawn.of("path", "line mean")[0]) == ROUNDS
    assert len(drawn.of("path", "cell")) > 3


@needs_browser
def test_plots_can_be_read_by_keyboard(opened):
    drawn, _ = opened
    (body,) = drawn.of("body")
    assert body["data-accuracy"].startswith("round 1")
    assert "mean 0." in body["data-accuracy"]
    assert body["data-heard"].startswith("peer 01, round 1\nheard by all")


@needs_browser
def test_the_page_fits_a_telephone(opened):
    drawn, _ = opened
    assert drawn.of("body")[0]["data-wide"] == "fits"
