from belay_runner.main import main

main()
