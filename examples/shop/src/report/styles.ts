/** The page's style: light and dark by the reader's choice, one column on a phone. */
export const styles = `
:root{color-scheme:light dark;--paper:#fbfaf8;--card:#fff;--ink:#1d2433;--soft:#5c667a;--line:#e4e2dd;--a:#2563a8;--b:#c07a1a;--bad:#c2362f;--good:#2c7a4b;--wait:#8a6fb0}
@media (prefers-color-scheme:dark){:root{--paper:#14171d;--card:#1c2029;--ink:#e8eaf0;--soft:#9aa4b8;--line:#2e3440;--a:#6aa8e8;--b:#e0a657;--bad:#f07a72;--good:#6cc28c;--wait:#b79fdc}}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
header,main,footer{max-width:1040px;margin:0 auto;padding:0 20px}header{padding-top:36px}.brand{margin:0;color:var(--soft);font-size:14px;letter-spacing:.02em}
h1{font-size:clamp(26px,5vw,40px);line-height:1.15;margin:4px 0 20px;text-wrap:balance}h2{font-size:20px;margin:0 0 14px}h3{font-size:16px;margin:0 0 6px}
section{background:var(--card);border:1px solid var(--line);border-radius:14px;padding:22px;margin:18px 0}footer{color:var(--soft);font-size:14px;padding-bottom:40px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px}.tile{background:var(--card);border:1px solid var(--line);border-radius:14px;padding:14px 16px}.tile b{display:block;font-size:24px;line-height:1.2}.tile span{color:var(--soft);font-size:14px}
.good{color:var(--good)}.bad{color:var(--bad)}.tile.good b{color:var(--good)}.tile.bad b{color:var(--bad)}.none{color:var(--soft);margin:0}
figure{margin:0 0 18px}figcaption{margin-bottom:4px}.key{display:inline-flex;align-items:center;gap:6px;margin-left:14px;color:var(--soft);font-size:14px}.key i{width:14px;height:4px;border-radius:2px;background:var(--a)}
.key i.line-b{background:var(--b)}.key i.line-bad{background:var(--bad)}small{color:var(--soft)}
.scroll{overflow-x:auto}svg{display:block;width:100%;min-width:620px;height:auto}svg text{fill:var(--ink);font:13px system-ui,sans-serif}.axis,svg .axis{fill:var(--soft)}.grid{stroke:var(--line)}
svg path{fill:none}.line-a{stroke:var(--a);stroke-width:2}.line-b{stroke:var(--b);stroke-width:2}.line-bad{stroke:var(--bad);stroke-width:2}
.mark line{stroke:var(--soft);stroke-dasharray:3 4}.mark circle{fill:var(--soft)}.mark text{fill:var(--card);font-size:11px;font-weight:600}.mark.bad circle{fill:var(--bad)}.mark.good circle{fill:var(--good)}.mark.maintenance circle{fill:var(--wait)}
.marks{list-style:none;padding:0;margin:0;columns:2 280px;font-size:15px}.marks li{break-inside:avoid;display:flex;gap:10px;align-items:baseline;padding:2px 0}.marks b{flex:none;width:20px;height:20px;border-radius:50%;background:var(--soft);color:var(--card);font-size:12px;line-height:20px;text-align:center}.marks .bad b{background:var(--bad)}.marks .good b{background:var(--good)}.marks .maintenance b{background:var(--wait)}.marks .bad,.marks .good{color:inherit}
.pending{fill:var(--line)}.firing{fill:var(--b)}.firing.critical{fill:var(--bad)}
.node rect{fill:var(--paper);stroke:var(--a);stroke-width:1.5}.node.bad rect{stroke:var(--bad)}.node .name{font-weight:600;font-size:15px}.node .sub,.edge-label{fill:var(--soft);font-size:12px}.edge{stroke:var(--a);opacity:.75}.edge.bad{stroke:var(--bad)}svg .head{fill:var(--soft)}
.cause{font-size:18px;font-weight:600;margin:0 0 6px}ul{margin:0;padding-left:20px}code{font:13px ui-monospace,monospace;overflow-wrap:anywhere}
.waterfall{list-style:none;margin:0;padding:0;font-size:14px}.waterfall li{display:grid;grid-template-columns:minmax(160px,2fr) 3fr 84px;gap:10px;align-items:center;padding:3px 0;border-top:1px solid var(--line)}.track{position:relative;height:12px;background:var(--paper);border-radius:3px}.track i{position:absolute;top:0;bottom:0;border-radius:3px;background:var(--a)}.track i.bad{background:var(--bad)}.took{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.recovery{margin-bottom:20px}.figures{display:flex;flex-wrap:wrap;gap:6px 26px;margin:0 0 8px}.phases{display:flex;height:14px;border-radius:4px;overflow:hidden;background:var(--line)}.phases i{min-width:2px}.keys{margin:6px 0 0}.keys .key{margin:0 14px 0 0}
.phase-0,.key i.phase-0{background:var(--a)}.phase-1,.key i.phase-1{background:var(--b)}.phase-2,.key i.phase-2{background:var(--good)}.phase-3,.key i.phase-3{background:var(--wait)}.phase-4,.key i.phase-4{background:var(--soft)}
table{border-collapse:collapse;width:100%;font-size:15px}td,th{text-align:left;padding:5px 8px 5px 0;vertical-align:top;border-top:1px solid var(--line)}.step th{padding-top:12px}td:last-child{text-align:right;overflow-wrap:anywhere}
@media (max-width:640px){section{padding:16px}.waterfall li{grid-template-columns:1fr 84px}.waterfall .track{grid-column:1/-1;grid-row:2}svg .axis{font-size:15px}}
`;
