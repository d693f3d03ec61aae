/**
 * Charts of dashboards: <div data-chart="id-of-the-json">. Colours follow the theme; the table beside the chart holds the same
 * figures. Tooltips are drawn, not built of HTML: the policy allows no inline styles.
 */
import { BarChart, LineChart, PieChart, ScatterChart } from "echarts/charts";
import { AriaComponent, DataZoomComponent, GridComponent, LegendComponent, MarkLineComponent, TooltipComponent } from "echarts/components";
import { type ECharts, type EChartsCoreOption, init, use } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";
import { all, colour, language, once } from "./lib/dom";

use([
  BarChart,
  LineChart,
  PieChart,
  ScatterChart,
  AriaComponent,
  DataZoomComponent,
  GridComponent,
  LegendComponent,
  MarkLineComponent,
  TooltipComponent,
  CanvasRenderer,
]);

type Plain = Record<string, unknown>;

function axis(given: unknown, figure: (value: number) => string): unknown {
  const one = (options: Plain): Plain => {
    const line = { lineStyle: { color: colour("--tblr-border-color") } };
    const base: Plain = {
      axisLine: line,
      axisTick: { show: false },
      splitLine: options.type === "value" ? { lineStyle: { color: colour("--tblr-border-color-translucent") } } : { show: false },
      axisLabel: {
        color: colour("--tblr-secondary-color"),
        hideOverlap: true,
        ...(options.type === "value" ? { formatter: (value: number) => figure(value) } : {}),
      },
    };
    return { ...base, ...options };
  };
  if (given === undefined) return undefined;
  return Array.isArray(given) ? given.map((options: Plain) => one(options)) : one(given as Plain);
}

function seriesOf(option: Plain): readonly Plain[] {
  return (option.series as Plain[] | undefined) ?? [];
}

/** Room above the chart for the names of its series: in two lines where they are many and the chart is narrow. */
function legendHeight(series: readonly unknown[], element: HTMLElement): number {
  if (series.length > 2 && element.clientWidth < 480) return 64;
  return series.length > 1 ? 40 : 16;
}

function themed(option: Plain, element: HTMLElement): EChartsCoreOption {
  const { currency, percents } = element.dataset;
  const percent = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 1 });
  const compact = new Intl.NumberFormat(language, { notation: "compact", maximumFractionDigits: 1 });
  const exact = new Intl.NumberFormat(language, currency ? { style: "currency", currency, currencyDisplay: "code" } : {});
  const short = (value: number): string => (percents === undefined ? compact.format(value) : percent.format(value / 100));
  const full = (value: number): string => (percents === undefined ? exact.format(value) : short(value));
  const series = seriesOf(option);
  return {
    color: ["--tblr-primary", "--ol-amber", "--ol-work", "--ol-quiet", "--ol-good", "--ol-bad"].map(colour),
    textStyle: { fontFamily: getComputedStyle(document.body).fontFamily, color: colour("--tblr-body-color") },
    animation: !matchMedia("(prefers-reduced-motion: reduce)").matches,
    animationDuration: 300,
    aria: { enabled: true },
    grid: { left: 8, right: 16, top: legendHeight(series, element), bottom: 8, containLabel: true },
    ...(series.length > 1 ? { legend: { top: 0, left: 8, textStyle: { color: colour("--tblr-body-color") }, icon: "roundRect" } } : {}),
    ...option,
    xAxis: axis(option.xAxis, short),
    yAxis: axis(option.yAxis, short),
    series: series.map((one) => ({
      ...(one.type === "bar" ? { barMaxWidth: 36, itemStyle: { borderRadius: 2 } } : {}),
      ...(one.type === "line" ? { symbolSize: 6, lineStyle: { width: 2.5 } } : {}),
      ...one,
    })),
    tooltip: {
      trigger: series.some((one) => one.type === "pie" || one.type === "scatter") ? "item" : "axis",
      renderMode: "richText",
      confine: true,
      backgroundColor: colour("--tblr-bg-surface"),
      borderColor: colour("--tblr-border-color"),
      textStyle: { color: colour("--tblr-body-color"), fontWeight: "normal" },
      valueFormatter: (value: unknown) => (typeof value === "number" ? full(value) : String(value ?? "—")),
      ...((option.tooltip as Plain | undefined) ?? {}),
    },
  };
}

const drawn = new Map<HTMLElement, { chart: ECharts; option: Plain }>();

/** What was swapped away is let go of: a page that renews itself every minute stays open all day. */
function forget(): void {
  for (const [element, { chart }] of drawn) {
    if (element.isConnected) continue;
    chart.dispose();
    drawn.delete(element);
  }
}

function draw(root: ParentNode, renewed = false): void {
  forget();
  for (const element of all(root, "[data-chart]")) {
    const source = document.getElementById(element.dataset.chart ?? "");
    if (!source?.textContent || !once(element, "chart")) continue;
    const option = JSON.parse(source.textContent) as Plain;
    const chart = init(element, undefined, { renderer: "canvas" });
    drawn.set(element, { chart, option });
    chart.setOption({ ...themed(option, element), ...(renewed ? { animation: false } : {}) });
    let room = legendHeight(seriesOf(option), element);
    new ResizeObserver(() => {
      if (chart.isDisposed()) return;
      chart.resize();
      const now = legendHeight(seriesOf(option), element);
      if (now !== room) chart.setOption(themed(option, element), { notMerge: true });
      room = now;
    }).observe(element);
  }
}

draw(document);
document.addEventListener("htmx:load", (event) => draw((event as CustomEvent<{ elt: HTMLElement }>).detail.elt, true));
new MutationObserver(() => {
  forget();
  for (const [element, { chart, option }] of drawn) chart.setOption(themed(option, element), { notMerge: true });
}).observe(document.documentElement, { attributes: true, attributeFilter: ["data-bs-theme"] });
