# Runs the agent, and again whenever it ends (an order to restart ends it with 0). Its log: a file a
# day, thirty days kept.
$program = 'C:\yinyitong\.venv\Scripts\yyt.exe'
$data = 'C:\ProgramData\yyt-agent'
$logs = Join-Path $data 'log'
[Console]::OutputEncoding = [System.Text.Encoding]::UTF8
New-Item -ItemType Directory -Force -Path $logs | Out-Null
while ($true) {
    Get-ChildItem -Path $logs -Filter 'agent-*.log' |
        Where-Object { $_.LastWriteTime -lt (Get-Date).AddDays(-30) } |
        Remove-Item
    & $program agent --config (Join-Path $data 'kiosk.yaml') 2>&1 | ForEach-Object {
        $file = Join-Path $logs ('agent-{0:yyyyMMdd}.log' -f (Get-Date))
        Add-Content -Path $file -Value "$_" -Encoding UTF8
    }
    Start-Sleep -Seconds 2
}
